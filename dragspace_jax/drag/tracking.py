"""Point tracking: nearest neighbour in feature space (arXiv 2305.10973, section 3.3; docs/design.md, fact 5)."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float32

from dragspace_jax.networks import PatchReader
from dragspace_jax.networks.grid import span


def track(
    reader: PatchReader, reference: Float32[Array, "N C"], handles_yx: Float32[Array, "N 2"], radius: int
) -> Float32[Array, "N 2"]:
    """Find every handle again.

    Args:
      reader: the current features.
      reference: [N, C], each handle's features at the start.
      handles_yx: [N, 2] float32, the handles' last positions, whole pixels.
      radius: of the square window, in pixels; the window is cut at the image border.

    Returns:
      [N, 2] float32, whole pixels: the window's pixel nearest to the reference in L2; the first in row order wins.
    """
    size = 2 * radius + 1
    origins = jnp.round(handles_yx).astype(jnp.int32) - radius
    patches = reader.patches(origins, size)
    difference = patches - jnp.broadcast_to(reference[:, None, None, :], patches.shape)
    distance = jnp.sum(jnp.square(difference), -1)
    inside = [(pixels >= 0) & (pixels < reader.side) for pixels in (span(origins[:, axis], size) for axis in (0, 1))]
    distance = jnp.where(inside[0][:, :, None] & inside[1][:, None, :], distance, jnp.inf)
    best = jnp.argmin(distance.reshape(distance.shape[0], -1), 1).astype(jnp.int32)
    found = origins + jnp.stack([best // size, best % size], 1)
    return found.astype(jnp.float32)


def features_at(reader: PatchReader, points_yx: Float32[Array, "N 2"]) -> Float32[Array, "N C"]:
    """Features at whole pixels [N, 2]: [N, C]."""
    return reader.patches(jnp.round(points_yx).astype(jnp.int32), 1)[:, 0, 0]
