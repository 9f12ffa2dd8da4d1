"""The grid that feature maps lie on, and where the pixels of an image fall on it."""

from __future__ import annotations

import dataclasses
import math

import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Int32, Real


def hat(distance: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The weight of linear interpolation at a distance in index units."""
    return jnp.maximum(0.0, 1.0 - jnp.abs(distance))


def span(origins: Int32[Array, " B"], size: int) -> Int32[Array, "B {size}"]:
    """Whole positions counted from each origin."""
    offsets = jnp.arange(size, dtype=jnp.int32)
    return origins[:, None] + offsets[None, :]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """A feature map of `size` × `size` positions over an image of `side` × `side` pixels; hashable.

    The position of pixel p is (p + ½) · scale − ½ + margin: half-pixel centres on both. The scale need not be a whole
    number's inverse, and the map may reach beyond the image (StyleGAN3's margin, arXiv 2106.12423, section 3.2).

    Attributes:
      side: of the image in pixels.
      size: of the map in positions.
      scale: positions a pixel.
      margin: positions of the map before the image's first edge.
    """

    side: int
    size: int
    scale: float
    margin: float = 0.0

    @classmethod
    def over(cls, side: int, size: int) -> Grid:
        """A map of `size` positions that covers the image, no more and no less."""
        return cls(side=side, size=size, scale=size / side)

    @property
    def pixels_a_position(self) -> int | None:
        """How many pixels a position stands for on each axis, if that is a whole number and the map has no margin."""
        whole = self == Grid.over(self.side, self.size) and self.side % self.size == 0
        return self.side // self.size if whole else None

    def position(self, pixels: Real[Array, "*shape"]) -> Float32[Array, "*shape"]:
        """Where pixels lie on the map, clamped to it."""
        place = (pixels.astype(jnp.float32) + 0.5) * self.scale + (self.margin - 0.5)
        return jnp.clip(place, 0.0, self.size - 1.0)

    def positions_under(self, pixels: int) -> int:
        """The most positions that `pixels` neighbours on one axis read when they are interpolated."""
        whole = self.scale == 1.0 and float(self.margin).is_integer()
        return min(self.size, pixels if whole else math.ceil((pixels - 1) * self.scale) + 2)

    def resize_weights(self) -> Float32[Array, "{self.side} {self.size}"]:
        """The bilinear resize of an axis of the map to the image."""
        position = self.position(jnp.arange(self.side, dtype=jnp.int32))
        return hat(position[:, None] - jnp.arange(self.size, dtype=jnp.float32)[None, :])
