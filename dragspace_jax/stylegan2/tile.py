"""Tiles: a piece of a feature map that knows where it was cut from.

Every layer reads a tile and returns one. A convolution is always computed without padding of its own ("valid"):
`Tile.for_stencil` supplies the neighbours, zeros outside the image included, so that a window gives the same numbers
as the whole map. The whole map is the tile without an origin, and its geometry is static.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from dragspace_jax.networks.grid import span

Window = tuple[jax.Array, int]
"""Where windows begin, int32 [N, 2], and their side."""
_HIGHEST = jax.lax.Precision.HIGHEST


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """Values cut from a map of `grid` × `grid` pixels.

    Attributes:
      values: [B, h, w, C].
      origin_yx: int32 [B, 2], the map's position of values[:, 0, 0]; it may lie outside the map. None: the tile is
        the whole map.
      grid: side of the map in pixels (static).
    """

    values: jax.Array
    origin_yx: jax.Array | None
    grid: int = dataclasses.field(metadata={"static": True})

    @classmethod
    def whole(cls, values: Float[Array, "B R R C"]) -> Self:
        """The trivial tile: `values` are the map itself."""
        return cls(values=values, origin_yx=None, grid=values.shape[1])

    def with_values(self, values: Float[Array, "B {self.values.shape[1]} {self.values.shape[2]} C"]) -> Tile:
        """The same place, other values (of the same height and width)."""
        return dataclasses.replace(self, values=values)

    def _positions(self) -> tuple[Int32[Array, "B h"], Int32[Array, "B w"]]:
        """Rows and columns of the map under a window."""
        assert self.origin_yx is not None  # only windows ask
        height, width = self.values.shape[1:3]
        return span(self.origin_yx[:, 0], height), span(self.origin_yx[:, 1], width)

    def for_stencil(self) -> Tile:
        """Make a one-pixel margin available: values a 3×3 stencil may read, zero outside the map.

        The whole map grows by a pixel on each side. A window keeps its size, its positions outside the map are set to
        zero, and what a valid 3×3 stencil makes of it is one pixel smaller on each side.
        """
        if self.origin_yx is None:
            return dataclasses.replace(self, values=jnp.pad(self.values, ((0, 0), (1, 1), (1, 1), (0, 0))))
        rows, columns = self._positions()
        inside = [(position >= 0) & (position < self.grid) for position in (rows, columns)]
        keep = inside[0][:, :, None, None] & inside[1][:, None, :, None]
        return self.with_values(jnp.where(keep, self.values, jnp.zeros((), self.values.dtype)))

    def shrunk(self, values: Float[Array, "B {self.values.shape[1]}-2 {self.values.shape[2]}-2 C"]) -> Tile:
        """The tile a valid 3×3 stencil leaves of `for_stencil()`: `values` [B, h-2, w-2, C], one pixel further in."""
        origin = None if self.origin_yx is None else self.origin_yx + 1
        return dataclasses.replace(self, values=values, origin_yx=origin)

    def doubled(self, values: Float[Array, "B 2*({self.values.shape[1]}-2) 2*({self.values.shape[2]}-2) C"]) -> Tile:
        """The tile an up-sampling stencil leaves: `values` [B, 2(h-2), 2(w-2), C] on the grid of twice the side."""
        origin = None if self.origin_yx is None else 2 * (self.origin_yx + 1)
        return Tile(values=values, origin_yx=origin, grid=2 * self.grid)

    def doubled_offset(self, window: Window) -> Int32[Array, "N 2"]:
        """Where a window begins in the tile that an up-sampling stencil leaves."""
        assert self.origin_yx is not None  # only windows have parts that differ from one to the next
        return window[0] - 2 * (self.origin_yx + 1)

    def doubled_rows(self, window: Window) -> Callable[[Float[Array, "N s w C"]], Tile]:
        """What places values [N, s, w, C]: a window's rows of the tile that an up-sampling stencil leaves.

        Columns begin where those of the stencil do.
        """
        assert self.origin_yx is not None  # only windows have parts that differ from one to the next
        origin_yx = jnp.stack([window[0][:, 0], 2 * (self.origin_yx[:, 1] + 1)], 1)
        return lambda values: Tile(values=values, origin_yx=origin_yx, grid=2 * self.grid)

    def columns(self, window: Window, values: Callable[[Int32[Array, " N"]], Float[Array, "N s s C"]]) -> Tile:
        """A window of what has its rows; `values` is told where its columns begin."""
        assert self.origin_yx is not None  # as above
        return Tile(values=values(window[0][:, 1] - self.origin_yx[:, 1]), origin_yx=window[0], grid=self.grid)

    def under(self, place: Tile, *, by_products: bool) -> Float[Array, "N h w C"]:
        """What this tile holds of the positions of another, smaller one; what it does not hold is anything.

        `by_products` as in `window`. No derivatives are wanted of it.
        """
        if self.origin_yx is None or place.origin_yx is None:
            return self.values  # both are whole maps
        offset, sides = place.origin_yx - self.origin_yx, place.values.shape[1:3]
        if by_products:
            return _cut_windows_by_products(self.values, offset, sides)
        rows, columns = (
            jnp.clip(span(offset[:, axis], sides[axis]), 0, self.values.shape[1 + axis] - 1) for axis in (0, 1)
        )
        return jax.vmap(lambda values, row, column: values[row[:, None], column[None, :]])(self.values, rows, columns)

    def window(
        self,
        origin_yx: Int32[Array, "N 2"],
        size: int,
        image: Int32[Array, " N"] | None = None,
        *,
        by_products: bool = False,
    ) -> Tile:
        """Cut [N, size, size, C] at `origin_yx` of the map.

        Of whole maps [B, R, R, C], N windows; `image` says of which map each. They may reach outside of the
        map, by `size` at most, and hold zeros there. Of N windows, one of each, which must lie inside and may differ by
        a few pixels only, as those of neighbouring layers do.

        `by_products` cuts whole maps by matrix products, to the same numbers: on accelerators the gradient of a cut is
        a loop over the windows otherwise.
        """
        values = self.values
        if self.origin_yx is None and by_products:
            values = _cut_by_products(values, origin_yx, size, image)
        elif self.origin_yx is None:
            padded = jnp.pad(values, ((0, 0), (size, size), (size, size), (0, 0)))
            image = jnp.zeros(len(origin_yx), jnp.int32) if image is None else image

            def cut(which: Int32[Array, ""], origin: Int32[Array, " 2"]) -> Float[Array, "h w C"]:
                start = (which, *(origin + size), 0)
                return jax.lax.dynamic_slice(padded, start, (1, size, size, values.shape[3]))[0]

            values = jax.vmap(cut)(image, origin_yx)
        else:
            offset = origin_yx - self.origin_yx
            for axis in (1, 2):
                shift = offset[:, axis - 1, None, None, None]
                slack = values.shape[axis] - size
                cuts = [jax.lax.slice_in_dim(values, k, k + size, axis=axis) for k in range(slack + 1)]
                values = cuts[0]
                for k, shifted in enumerate(cuts[1:], 1):
                    values = jnp.where(shift == k, shifted, values)
        return Tile(values=values, origin_yx=origin_yx, grid=self.grid)

    def cut_from(self, constant: Float[Array, "{self.grid} {self.grid}"]) -> Float[Array, "*B h w"]:
        """The part of a per-pixel constant under this tile: [grid, grid] or [B, h, w]."""
        if self.origin_yx is None:
            return constant
        rows, columns = (jnp.clip(position, 0, self.grid - 1) for position in self._positions())
        return jax.vmap(lambda row, column: constant[row[:, None], column[None, :]])(rows, columns)


def _cut_by_products(
    values: Float[Array, "B R R C"], origin_yx: Int32[Array, "N 2"], size: int, image: Int32[Array, " N"] | None
) -> Float[Array, "N {size} {size} C"]:
    """Windows of whole maps, zero outside of them, by matrices of zeros and ones."""
    if image is None or values.shape[0] == 1:
        values = jnp.broadcast_to(values[:1], (len(origin_yx), *values.shape[1:]))
    else:
        chosen = jax.nn.one_hot(image, values.shape[0], dtype=values.dtype)
        values = jnp.einsum("nb,bhwc->nhwc", chosen, values, precision=_HIGHEST)
    return _cut_windows_by_products(values, origin_yx, (size, size))


def _cut_windows_by_products(
    values: Float[Array, "N h w C"], offset_yx: Int32[Array, "N 2"], sides: tuple[int, ...]
) -> Float[Array, "N _ _ C"]:
    """A window of these sides of each, zero outside of it."""
    for axis, product in enumerate(("nih,nhwc->niwc", "njw,niwc->nijc")):
        places = span(offset_yx[:, axis], sides[axis])
        chosen = jax.nn.one_hot(places, values.shape[1 + axis], dtype=values.dtype)
        values = jnp.einsum(product, chosen, values, precision=_HIGHEST)
    return values
