"""The mask's term of the loss (DragGAN, arXiv 2305.10973, equation 1; docs/design.md, fact 8)."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from dragspace_jax.networks import Grid

_HIGHEST = jax.lax.Precision.HIGHEST
_Taps = list[tuple[int, float]]


def mask_loss(
    features: Float32[Array, "R R C"],
    start_features: Float32[Array, "R R C"],
    mask: Float32[Array, "H W"],
    *,
    grid: Grid,
) -> Float32[Array, ""]:
    """How far the features have left the start where the image must stay, features resized to the image.

    Where the image is a whole number of times the map, the resized maps are never made: they would be (H/R)² times the
    features. Every one of their (H/R)² phases is a
    mixture of up to four neighbours with fixed weights, and the loss is Σ mask·v·sign(v) over the phases' values v,
    which are linear in the change of the features: so it is the product of the change with a map of slopes, the signs
    brought back through the mixtures, and that map is also its gradient. The signs travel as single bytes.

    Args:
      features, start_features: [R, R, C] float32, the whole maps of this and of the first iteration.
      mask: [H, W] float32 of zeros and ones, 1 where the image must stay.
      grid: how the maps lie over the image.

    Returns:
      The mean over all pixels and channels of |mask · (F − F_0)|; its slope is zero where nothing has changed.
    """
    side = mask.shape[0]
    change = features - start_features
    if grid.pixels_a_position is None:
        weights = grid.resize_weights()
        resized = jnp.einsum("yr,rsc,xs->yxc", weights, change, weights, precision=_HIGHEST)
        return jnp.mean(mask[:, :, None] * resized * jax.lax.stop_gradient(jnp.sign(resized)))
    slopes = jax.lax.stop_gradient(_slopes(jax.lax.stop_gradient(change), mask))
    return jnp.sum(change * slopes) / (side * side * features.shape[2])


def _slopes(change: Float32[Array, "R R C"], mask: Float32[Array, "H W"]) -> Float32[Array, "R R C"]:
    """The gradient of Σ mask · |resized change| by the change [R, R, C]."""
    grid, factor = change.shape[0], mask.shape[0] // change.shape[0]
    phases = mask.reshape(grid, factor, grid, factor).astype(jnp.int8)
    edged = jnp.pad(change, ((1, 1), (1, 1), (0, 0)), mode="edge")
    total = jnp.zeros_like(edged)
    for a, b in itertools.product(range(factor), repeat=2):
        taps = [(y, x, v * u) for y, v in _taps(a, factor) for x, u in _taps(b, factor)]
        mixed = sum(weight * edged[1 + y : 1 + y + grid, 1 + x : 1 + x + grid] for y, x, weight in taps)
        signs = jnp.sign(mixed).astype(jnp.int8) * phases[:, a, :, b, None]
        # Else they would be computed again for each of their four uses.
        signs = jnp.pad(jax.lax.optimization_barrier(signs), ((2, 2), (2, 2), (0, 0)))
        for y, x, weight in taps:
            total += weight * signs[1 - y : 3 - y + grid, 1 - x : 3 - x + grid].astype(change.dtype)
    # What fell on the repeated edge belongs to the edge.
    total = total.at[1].add(total[0]).at[-2].add(total[-1])[1:-1]
    return total.at[:, 1].add(total[:, 0]).at[:, -2].add(total[:, -1])[:, 1:-1]


def _taps(phase: int, factor: int) -> _Taps:
    """Neighbours and weights of a phase of the bilinear resize, half-pixel centres."""
    offset = (phase + 0.5) / factor - 0.5
    if offset == 0:
        return [(0, 1.0)]
    return [(0, 1.0 - abs(offset)), (-1 if offset < 0 else 1, abs(offset))]
