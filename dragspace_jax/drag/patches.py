"""The patch reader: features at positions of the image, whatever they come from.

Tracking and motion supervision see the feature map resized to the image (bilinear, half-pixel centres, DESIGN §5.1),
but only a few pixels of it. A reader interpolates just those. Bilinear weights are written as a hat function,
max(0, 1 − |position − index|), so that reading is two small matrix products, forward and backward.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from dragspace_jax.stylegan2.tile import Tile

_HIGHEST = jax.lax.Precision.HIGHEST


def hat(distance: jax.Array) -> jax.Array:
    """The weight of linear interpolation at a distance in index units."""
    return jnp.maximum(0.0, 1.0 - jnp.abs(distance))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchReader:
    """Reads a feature map as if it had been resized to the image.

    Attributes:
      features: [R, R, C] float32, the whole map.
      side: side of the image in pixels (static), R or a multiple of it.
    """

    features: jax.Array
    side: int = dataclasses.field(metadata={"static": True})

    def patch(self, origin_yx: jax.Array, size: int) -> jax.Array:
        """Resized features at whole pixels: origin_yx int32 [2] → [size, size, C], zero outside the image."""
        grid, channels = self.features.shape[0], self.features.shape[2]
        scale = grid / self.side
        reach = min(grid, math.ceil((size - 1) * scale) + 2)
        starts, weights = [], []
        for axis in (0, 1):
            pixels = origin_yx[axis] + jnp.arange(size, dtype=jnp.int32)
            inside = (pixels >= 0) & (pixels < self.side)
            position = jnp.clip((pixels.astype(jnp.float32) + 0.5) * scale - 0.5, 0.0, grid - 1.0)
            start = jnp.clip(jnp.floor(position[0]).astype(jnp.int32), 0, grid - reach)
            index = (start + jnp.arange(reach, dtype=jnp.int32)).astype(jnp.float32)
            starts.append(start)
            weights.append(jnp.where(inside[:, None], hat(position[:, None] - index[None, :]), 0.0))
        cut = jax.lax.dynamic_slice(self.features, (*starts, 0), (reach, reach, channels))
        return jnp.einsum("ya,abc,xb->yxc", weights[0], cut, weights[1], precision=_HIGHEST)

    def patches(self, origins_yx: jax.Array, size: int) -> jax.Array:
        """`patch` for every handle: origins_yx int32 [N, 2] → [N, size, size, C]."""
        return jax.vmap(lambda origin: self.patch(origin, size))(origins_yx)


def resize_to_image(x: jax.Array, side: int) -> jax.Array:
    """The whole map resized: x [R, R, C] → [side, side, C], bilinear, half-pixel centres, no antialiasing.

    Every one of the side/R phases mixes two neighbours with fixed weights; the edge repeats.
    """
    factor = side // x.shape[0]
    if factor == 1:
        return x
    for axis in (0, 1):
        length = x.shape[axis]
        padded = jnp.pad(x, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, here, after = (jax.lax.slice_in_dim(padded, i, i + length, axis=axis) for i in range(3))
        phases = []
        for phase in range(factor):
            offset = (phase + 0.5) / factor - 0.5
            neighbour = before if offset < 0 else after
            phases.append((1.0 - abs(offset)) * here + abs(offset) * neighbour)
        shape = list(x.shape)
        shape[axis] *= factor
        x = jnp.stack(phases, axis + 1).reshape(shape)
    return x


def whole_map_reader(features: Tile, side: int) -> PatchReader:
    """A reader of one lane's whole feature map: tile values [1, R, R, C]."""
    return PatchReader(features=features.values[0].astype(jnp.float32), side=side)
