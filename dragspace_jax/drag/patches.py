"""The patch reader: features at positions of the image, whatever they come from.

Tracking and motion supervision see the feature map resized to the image (bilinear, half-pixel centres, DESIGN §5.1),
but only a few pixels of it. A reader interpolates just those. Bilinear weights are written as a hat function,
max(0, 1 − |position − index|), so that reading is two small matrix products, forward and backward.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Self

import jax
import jax.numpy as jnp

from dragspace_jax.stylegan2.tile import Tile

_HIGHEST = jax.lax.Precision.HIGHEST


def hat(distance: jax.Array) -> jax.Array:
    """The weight of linear interpolation at a distance in index units."""
    return jnp.maximum(0.0, 1.0 - jnp.abs(distance))


def positions_under(pixels: int, side: int, grid: int) -> int:
    """The most positions of a map of `grid` that `pixels` neighbours on one axis of the resized map read."""
    return min(grid, pixels if grid == side else math.ceil((pixels - 1) * grid / side) + 2)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchReader:
    """Reads a feature map as if it had been resized to the image.

    Attributes:
      features: [B, R, R, C] float32, whole maps, or [N, h, w, C], a window a handle.
      origin_yx: int32 [N, 2], where the windows begin; None for whole maps.
      image: int32 [N], the map that each handle is on.
      grid: side R of the map (static).
      side: side of the image in pixels (static), R or a multiple of it.
    """

    features: jax.Array
    origin_yx: jax.Array | None
    image: jax.Array
    grid: int = dataclasses.field(metadata={"static": True})
    side: int = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(cls, features: Tile, side: int, image: jax.Array) -> Self:
        """A reader of a tile of features, for handles on the images `image` int32 [N]."""
        values = features.values.astype(jnp.float32)
        return cls(features=values, origin_yx=features.origin_yx, image=image, grid=features.grid, side=side)

    def patches(self, first_yx: jax.Array, size: int) -> jax.Array:
        """Resized features at whole pixels, a patch a handle.

        Args:
          first_yx: int32 [N, 2], the patches' first pixels.
          size: side of the patches; a window must cover what they read of the map.

        Returns:
          [N, size, size, C], zero outside the image.
        """
        count = first_yx.shape[0]
        if self.origin_yx is None:
            rows, origins = self.image, jnp.zeros((count, 2), jnp.int32)
        else:
            rows, origins = jnp.arange(count, dtype=jnp.int32), self.origin_yx
        return jax.vmap(lambda *where: self._patch(*where, size=size))(rows, origins, first_yx)

    def _patch(self, row: jax.Array, origin_yx: jax.Array, first_yx: jax.Array, *, size: int) -> jax.Array:
        """features[row], which begin at `origin_yx`; `first_yx` in pixels → [size, size, C]."""
        extent, channels = self.features.shape[1:3], self.features.shape[3]
        reach = min(positions_under(size, self.side, self.grid), extent[0])
        starts, weights = [], []
        for axis in (0, 1):
            pixels = first_yx[axis] + jnp.arange(size, dtype=jnp.int32)
            inside = (pixels >= 0) & (pixels < self.side)
            position = position_of(pixels, self.side, self.grid)
            start = jnp.floor(position[0]).astype(jnp.int32) - origin_yx[axis]
            start = jnp.clip(start, 0, extent[axis] - reach)
            index = (origin_yx[axis] + start + jnp.arange(reach, dtype=jnp.int32)).astype(jnp.float32)
            starts.append(start)
            weights.append(jnp.where(inside[:, None], hat(position[:, None] - index[None, :]), 0.0))
        cut = jax.lax.dynamic_slice(self.features, (row, *starts, 0), (1, reach, reach, channels))[0]
        return jnp.einsum("ya,abc,xb->yxc", weights[0], cut, weights[1], precision=_HIGHEST)


def position_of(pixels: jax.Array, side: int, grid: int) -> jax.Array:
    """Where whole pixels of the resized map lie on a map of `grid` positions: half-pixel centres, clamped, float32."""
    scale = grid / side
    return jnp.clip((pixels.astype(jnp.float32) + 0.5) * scale - 0.5, 0.0, grid - 1.0)
