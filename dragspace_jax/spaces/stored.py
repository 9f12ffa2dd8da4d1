"""Spaces as files: an npz of their arrays, their settings and the fingerprint of their model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from dragspace_jax.arrays import read_arrays_as, write_arrays
from dragspace_jax.spaces.base import Space, SpaceError
from dragspace_jax.spaces.displacement import Displacement
from dragspace_jax.spaces.lowrank import LowRank
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.spaces.wplus import W, WPlus
from dragspace_jax.spaces.z import Z

_KINDS: dict[str, type[Space]] = {kind.name: kind for kind in (WPlus, W, PCA, Displacement, LowRank, Z)}
_LARGEST = 1e12  # of any number: what is squared stays within float32
_RANKS = {"mean": (1,), "components": (2, 3), "variance": (1,), "scale": (1,)}


def save_space(space: Space, path: str | Path) -> None:
    """Write a space as an npz: `kind`, and its fields by name; an interrupted write leaves nothing at `path`."""
    fields = {f.name: np.asarray(getattr(space, f.name)) for f in dataclasses.fields(space)}  # type: ignore[arg-type]
    write_arrays(path, {"kind": np.asarray(space.name), **fields})


def load_space(path: str | Path) -> Space:
    """Read what `save_space` wrote, or a PCA of W that another program wrote: `mean`, `components`, `variance`.

    Raises:
      SpaceError: the file is not a space; its message says what is wrong.
    """
    values = read_arrays_as(path, SpaceError, what="a space", command="dragspace fit-pca")
    try:
        return _space(values)
    except (ValueError, KeyError, TypeError) as error:
        raise SpaceError(f"{path} is not a space: {error}") from error


def _space(values: dict[str, np.ndarray]) -> Space:
    name = str(values.get("kind", "pca"))
    if name not in _KINDS:
        raise ValueError(f"its kind is {name!r}; known are {', '.join(_KINDS)}")
    kind = _KINDS[name]
    if "variance" in values:
        values.setdefault("scale", np.ones(values["variance"].shape))
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name not in values:
            if field.default is dataclasses.MISSING:
                raise ValueError(f"`{field.name}` is missing")
            continue
        value = values[field.name]
        arguments[field.name] = _array(field.name, value) if field.name in _RANKS else _setting(field, value)
    _fits(arguments, padded=kind is LowRank)
    return kind(**arguments)


def _setting(field: dataclasses.Field[Any], value: np.ndarray) -> Any:
    wanted = type(field.default)
    if value.shape != () or type(value.item()) is not wanted:
        raise ValueError(f"`{field.name}` must be one value of type {wanted.__name__}")
    return value.item()


def _array(name: str, value: np.ndarray) -> Any:
    if value.ndim not in _RANKS[name] or value.size == 0 or value.dtype.kind != "f":
        raise ValueError(f"`{name}` has shape {value.shape} and type {value.dtype}")
    if not (np.abs(value) < _LARGEST).all():
        raise ValueError(f"`{name}` holds numbers that are not finite, or too large")
    if name == "scale" and not (value > 0).all():
        raise ValueError("`scale` must be positive")
    if name == "variance" and ((value < 0).any() or (np.diff(value) > 1e-6 * value[0]).any()):
        raise ValueError("`variance` must fall, and not be negative")
    return jnp.asarray(value, jnp.float32)


def _fits(arrays: dict[str, Any], *, padded: bool) -> None:
    """Raises ValueError unless the arrays have K components of one width, orthonormal, or zero if they are padded."""
    if "components" not in arrays:
        return
    components = arrays["components"]
    shapes = {name: arrays[name].shape for name in ("mean", "components", "variance", "scale") if name in arrays}
    count = components.shape[0]
    if arrays["variance"].shape != (count,) or arrays["scale"].shape != (count,):
        raise ValueError(f"the shapes {shapes} do not fit each other")
    if components.ndim != (2 if "mean" in arrays else 3):
        raise ValueError(f"the shapes {shapes} do not fit each other")
    if "mean" in arrays and arrays["mean"].shape != components.shape[1:]:
        raise ValueError(f"the shapes {shapes} do not fit each other")
    flat = np.asarray(components, np.float64).reshape(count, -1)
    expected = np.any(flat != 0, axis=1) if padded else np.ones(count)
    if np.abs(flat @ flat.T - np.diag(expected)).max() > 1e-3:
        raise ValueError("its components are not orthonormal")
