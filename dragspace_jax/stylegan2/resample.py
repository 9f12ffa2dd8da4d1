"""Resampling by the separable four-tap filter, as shifted adds.

A depthwise convolution does the same a hundred times slower on a CPU (docs/design.md#exact-windows). All functions are
"valid": they read the margins they are given and pad nothing. Source: StyleGAN2 (arXiv 1912.04958), section 4 and its
published settings; the filter is applied as a true convolution, so its taps are reversed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

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


def filter_window(
    x: Float[Array, "N h w C"], axis: int, offset: Int32[Array, " N"], taps: Taps, size: int
) -> Float[Array, "N _ _ C"]:
    """`size` positions on an axis of what the filter makes of each x there, for accelerators.

    To cut while filtering costs them one tap more and no pass of its own. Sums are float32; the gradient is kept in the
    type of x on its way from one axis to the other.

    Args:
      x: at least size + 4 positions on the axis.
      axis: 1, rows, or 2, columns.
      offset: where the window begins, 0 or 1.
      taps: the filter's.
      size: side of the window.
    """
    return _filter_window(x, axis, offset, taps, size)


@partial(jax.custom_vjp, nondiff_argnums=(1, 3, 4))
def _filter_window(x: jax.Array, axis: int, offset: jax.Array, taps: Taps, size: int) -> jax.Array:
    return _weighted([_axis_slice(x, axis, i, i + size) for i in range(5)], _shifted_taps(taps, offset))


def _filter_forward(
    x: Float[Array, "N h w C"], axis: int, offset: Int32[Array, " N"], taps: Taps, size: int
) -> tuple[Float[Array, "N _ _ C"], tuple[Int32[Array, " N"], int]]:
    return _filter_window(x, axis, offset, taps, size), (offset, x.shape[axis] - size)


def _filter_backward(
    axis: int, taps: Taps, size: int, kept: tuple[Int32[Array, " N"], int], slope: Float[Array, "N _ _ C"]
) -> tuple[Float[Array, "N h w C"], None]:
    # As it stands the gradient of a slice is a padded copy for each tap, which XLA writes out one by one.
    offset, more = kept
    slope, shifted = stored(slope), list[jax.Array]()
    for i in range(5):
        padding = [(0, 0, 0)] * 4
        padding[axis] = (i, more - i, 0)
        shifted.append(jax.lax.pad(slope, jnp.zeros((), slope.dtype), padding))
    return _weighted(shifted, _shifted_taps(taps, offset)), None


_filter_window.defvjp(_filter_forward, _filter_backward)


def _shifted_taps(taps: Taps, offset: Int32[Array, " N"]) -> list[Float[Array, "N 1 1 1"]]:
    """Five taps a window: the four, behind a zero where the offset is 1 and before one where it is 0."""
    later = (offset == 1)[:, None, None, None]
    return [jnp.where(later, jnp.float32(a), jnp.float32(b)) for a, b in zip((0.0, *taps), (*taps, 0.0), strict=True)]


def _weighted(
    shifted: Sequence[Float[Array, "N h w C"]], weights: Sequence[Float[Array, "N 1 1 1"]]
) -> Float[Array, "N h w C"]:
    added = [weight * each.astype(jnp.float32) for weight, each in zip(weights, shifted, strict=True)]
    return sum(added[1:], added[0]).astype(shifted[0].dtype)


def stored(x: Float[Array, "N h w C"]) -> Float[Array, "N h w C"]:
    """x, written as its type says: left to itself XLA would keep it as float32, twice as large, or compute it again."""
    return jax.lax.optimization_barrier(x)


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
