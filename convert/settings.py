"""Checks of settings that all formats share: the resampling filter, the activation, what must have a fixed value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dragspace_jax.convert.check import PLAIN, ConvertError, listed, shown

Taps = tuple[float, float, float, float]
_LARGEST_TAP = 2**40


def _is_tap(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST_TAP


def filter_taps(values: object, where: str) -> Taps:
    """The four taps of a resampling filter, the smallest scaled to 1, from its taps (a list) or its kernel [4, 4].

    Raises:
      ConvertError: another number of taps, not separable, or not symmetric.
    """
    kernel = np.zeros(0)
    if isinstance(values, np.ndarray):
        kernel = values.astype(np.float64)
    elif isinstance(values, list | tuple) and len(values) == 4 and all(map(_is_tap, values)):
        kernel = np.outer(values, values).astype(np.float64)
    if kernel.shape != (4, 4) or not np.isfinite(kernel).all() or kernel.sum() <= 0:
        raise ConvertError(f"unsupported resample filter at {where}: four separable taps are needed")
    taps = kernel.sum(0) / np.sqrt(kernel.sum())
    if not np.allclose(np.outer(taps, taps), kernel, atol=1e-5 * np.abs(kernel).max()):
        raise ConvertError(f"unsupported resample filter at {where}: it is not separable and equal in both axes")
    if not np.allclose(taps, taps[::-1], atol=1e-5 * np.abs(taps).max()):
        raise ConvertError(f"unsupported resample filter at {where}: it is not symmetric")
    first, second, third, fourth = (_plain(float(tap)) for tap in taps / np.abs(taps[taps != 0]).min())
    return first, second, third, fourth


def _plain(ratio: float) -> float:
    """The number of few decimals that a ratio stands for, if it differs from it by float32's rounding alone."""
    plain = round(ratio, 4)
    return plain if abs(plain - ratio) <= 5e-7 * abs(ratio) else ratio


def clamp_value(value: object) -> float | None:
    """conv_clamp as a config has it. Raises ConvertError if it is neither None nor a positive number."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ConvertError(f"unsupported conv_clamp {shown(value)}: it must be None or a positive number")
    return float(value)


def one_filter(filters: Mapping[str, Taps]) -> Taps:
    """The filter that all layers share, [1, 3, 3, 1] if none states one. Raises ConvertError if layers differ."""
    different = {taps: layer for layer, taps in filters.items()}
    if len(different) > 1:
        raise ConvertError(f"the resample filter differs between layers: {listed(different.values())}")
    return next(iter(different), (1.0, 3.0, 3.0, 1.0))


def one_value(values: Mapping[str, Any], setting: str, default: Any) -> Any:
    """The value that all layers share: {layer: value} → value, `default` if there are no layers.

    Raises:
      ConvertError: layers differ.
    """
    different: dict[Any, str] = {}
    for layer, value in values.items():
        if not isinstance(value, PLAIN):
            raise ConvertError(f"{setting} is {shown(value)} in {layer}")
        different[value] = layer
    if len(different) > 1:
        examples = ", ".join(f"{shown(value)} in {layer}" for value, layer in different.items())
        raise ConvertError(f"{setting} differs between layers ({examples}); one value for all is supported")
    return next(iter(values.values()), default)


def require(settings: Mapping[str, Any], required: Mapping[str, Any], where: str) -> None:
    """Raises ConvertError if a setting is there and has another value than the one supported."""
    for setting, value in required.items():
        if setting in settings and settings[setting] != value:
            raise ConvertError(
                f"unsupported {setting} {shown(settings[setting])} in {where}: only {value!r} is supported"
            )


def require_known(settings: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Raises ConvertError if there are settings of which nothing is known; it lists them."""
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ConvertError(f"unknown settings in {where}: {listed(unknown)}")
