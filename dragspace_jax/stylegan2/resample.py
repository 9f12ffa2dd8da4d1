"""Resampling by the separable four-tap filter, as shifted adds.

A depthwise convolution does the same a hundred times slower on a CPU (docs/design.md#exact-windows). All functions are
"valid": they read the margins they are given and pad nothing. Source: StyleGAN2 (arXiv 1912.04958), section 4 and its
published settings; the filter is applied as a true convolution, so its taps are reversed here.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Taps = tuple[float, float, float, float]


def normalised_taps(resample_filter: Sequence[float], gain: float) -> Taps:
    """The four taps in the order they meet the pixels, with sum `gain` (per axis)."""
    total = sum(resample_filter)
    first, second, third, fourth = (gain * tap / total for tap in reversed(resample_filter))
    return first, second, third, fourth


def _axis_slice(
    x: Float[Array, "B h w C"], axis: int, start: int, stop: int, stride: int = 1
) -> Float[Array, "B _ _ C"]:
    return jax.lax.slice_in_dim(x, start, stop, stride, axis)


def filter_valid(
    x: Float[Array, "B h w C"], taps: Taps, stride: int = 1
) -> Float[Array, "B (h-4)//{stride}+1 (w-4)//{stride}+1 C"]:
    """Filter both spatial axes."""
    for axis in (1, 2):
        length = x.shape[axis] - 3
        x = sum(tap * _axis_slice(x, axis, i, i + length, stride) for i, tap in enumerate(taps))  # type: ignore[assignment]
    return x


def interleave(even: Float[Array, "*shape"], odd: Float[Array, "*shape"], axis: int) -> Float[Array, " ..."]:
    """Merge two arrays of one shape along `axis`: even[0], odd[0], even[1], …"""
    stacked = jnp.stack([even, odd], axis + 1)
    shape = list(even.shape)
    shape[axis] *= 2
    return stacked.reshape(shape)


def upsample_valid(x: Float[Array, "B h w C"], taps: Taps) -> Float[Array, "B 2*(h-2) 2*(w-2) C"]:
    """Zero-insert and filter x, a map with a one-pixel margin, which is gone afterwards.

    Output 2i reads inputs i-1 and i, output 2i+1 reads i and i+1.
    """
    for axis in (1, 2):
        length = x.shape[axis]
        before, here, after = (_axis_slice(x, axis, i, length - 2 + i) for i in range(3))
        x = interleave(taps[0] * before + taps[2] * here, taps[1] * here + taps[3] * after, axis)
    return x
