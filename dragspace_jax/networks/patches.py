"""The patch reader: features at positions of the image, whatever they come from.

Tracking and motion supervision see the feature map resized to the image (bilinear, half-pixel centres; docs/design.md,
fact 1), but only a few pixels of it. A reader interpolates just those. Bilinear weights are written as a hat
function, max(0, 1 − |position − index|), so that reading is two small matrix products, forward and backward.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from dragspace_jax.networks.grid import Grid, hat, span

_HIGHEST = jax.lax.Precision.HIGHEST


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchReader:
    """Reads a feature map as if it had been resized to the image.

    Attributes:
      features: [B, R, R, C] float32, whole maps, or [N, h, w, C], a window a handle; of an accelerator's windows in the
        type of the synthesis.
      origin_yx: int32 [N, 2], where the windows begin; None for whole maps.
      image: int32 [N], the map that each handle is on.
      grid: how the whole map lies over the image (static).
      kept: what the network remembers of computing windows, for `nearer`; None: nothing.
      accelerated: whether the program is for an accelerator (static). Windows are then read by products with the whole
        of them, and not with what is cut from them first: the gradient of a cut is a loop there.
    """

    features: jax.Array
    origin_yx: jax.Array | None
    image: jax.Array
    grid: Grid = dataclasses.field(metadata={"static": True})
    kept: Any = None
    accelerated: bool = dataclasses.field(default=False, metadata={"static": True})

    @property
    def side(self) -> int:
        """Side of the image in pixels."""
        return self.grid.side

    def patches(self, first_yx: Int32[Array, "N 2"], size: int) -> Float[Array, "N {size} {size} C"]:
        """Resized features at whole pixels, a patch a handle.

        Args:
          first_yx: the patches' first pixels.
          size: side of the patches; a window must cover what they read of the map.

        Returns:
          The patches, zero outside the image.
        """
        count = first_yx.shape[0]
        if self.origin_yx is None:
            rows, origins = self.image, jnp.zeros((count, 2), jnp.int32)
        else:
            rows, origins = jnp.arange(count, dtype=jnp.int32), self.origin_yx
        if self.accelerated and self.origin_yx is not None:
            return self._read([self._weights(axis, first_yx, size) for axis in (0, 1)])
        return jax.vmap(lambda *where: self._patch(*where, size=size))(rows, origins, first_yx)

    def _weights(self, axis: int, first_yx: Int32[Array, "N 2"], size: int) -> Float[Array, "N {size} h"]:
        """Weights of all positions of the windows on an axis for `size` pixels from `first_yx`, zero off the image."""
        pixels = span(first_yx[:, axis], size)
        inside = (pixels >= 0) & (pixels < self.side)
        return jnp.where(inside[:, :, None], self._hats(axis, self.grid.position(pixels)), 0.0)

    def _hats(self, axis: int, places: Float[Array, "N P"]) -> Float[Array, "N P h"]:
        """Weights of all positions of the windows on an axis for places on the whole map."""
        assert self.origin_yx is not None  # whole maps are too large for it
        index = span(self.origin_yx[:, axis], self.features.shape[1 + axis]).astype(jnp.float32)
        return hat(places[:, :, None] - index[:, None, :])

    def _read(self, weights: Sequence[Float[Array, "N P _"]]) -> Float[Array, "N P P C"]:
        """Windows by weights of their rows and of their columns."""
        # Where a position is a power of two pixels, weights have a few bits: bfloat16 holds them, and products of two.
        short = self.features.dtype == jnp.bfloat16
        rows = jnp.einsum(
            "nya,nabc->nybc",
            weights[0].astype(self.features.dtype),
            self.features,
            precision=None if short else _HIGHEST,
            preferred_element_type=jnp.float32,
        )
        return jnp.einsum("nxb,nybc->nyxc", weights[1], rows, precision=jax.lax.Precision.HIGH if short else _HIGHEST)

    def sampled(
        self, first_yx: Float[Array, "N 2"], *, count: int, spacing: int
    ) -> Float[Array, "N {count} {count} C"]:
        """Features at points between pixels, on a small grid a handle; outside the image, those of its edge.

        Args:
          first_yx: the grids' first points, in pixels.
          count: points a side.
          spacing: pixels between two points.

        Returns:
          The features; differentiable by the map and by the points.
        """
        rows = self.image if self.origin_yx is None else jnp.arange(first_yx.shape[0], dtype=jnp.int32)
        origins = jnp.zeros_like(first_yx, jnp.int32) if self.origin_yx is None else self.origin_yx
        steps = spacing * jnp.arange(count, dtype=jnp.float32)
        whole = self.grid.position(first_yx[:, None, :] + steps[None, :, None])
        if self.accelerated and self.origin_yx is not None:
            return self._read([self._hats(axis, whole[:, :, axis]) for axis in (0, 1)])
        places = whole - origins.astype(jnp.float32)[:, None]

        def one(row: Int32[Array, ""], places: Float[Array, "P 2"]) -> Float[Array, "P P C"]:
            reach = min(self.grid.positions_under((count - 1) * spacing + 1) + 1, *self.features.shape[1:3])
            limit = jnp.asarray(self.features.shape[1:3], jnp.int32) - reach
            first = jnp.clip(jnp.floor(jax.lax.stop_gradient(places[0])).astype(jnp.int32), 0, limit)
            cut = jax.lax.dynamic_slice(
                self.features, (row, first[0], first[1], 0), (1, reach, reach, self.features.shape[3])
            )[0]
            index = jnp.arange(reach, dtype=jnp.float32)
            weights = [hat(places[:, axis, None] - first[axis].astype(jnp.float32) - index[None, :]) for axis in (0, 1)]
            return jnp.einsum("ya,abc,xb->yxc", weights[0], cut, weights[1], precision=_HIGHEST)

        return jax.vmap(one)(rows, places)

    def _patch(
        self, row: Int32[Array, ""], origin_yx: Int32[Array, " 2"], first_yx: Int32[Array, " 2"], *, size: int
    ) -> Float[Array, "{size} {size} C"]:
        """A patch of features[row], which begin at `origin_yx`; `first_yx` in pixels."""
        extent, channels = self.features.shape[1:3], self.features.shape[3]
        reach = min(self.grid.positions_under(size), extent[0])
        starts, weights = [], []
        for axis in (0, 1):
            pixels = first_yx[axis] + jnp.arange(size, dtype=jnp.int32)
            inside = (pixels >= 0) & (pixels < self.side)
            position = self.grid.position(pixels)
            start = jnp.floor(position[0]).astype(jnp.int32) - origin_yx[axis]
            start = jnp.clip(start, 0, extent[axis] - reach)
            index = (origin_yx[axis] + start + jnp.arange(reach, dtype=jnp.int32)).astype(jnp.float32)
            starts.append(start)
            weights.append(jnp.where(inside[:, None], hat(position[:, None] - index[None, :]), 0.0))
        cut = jax.lax.dynamic_slice(self.features, (row, *starts, 0), (1, reach, reach, channels))[0]
        return jnp.einsum("ya,abc,xb->yxc", weights[0], cut, weights[1], precision=_HIGHEST)
