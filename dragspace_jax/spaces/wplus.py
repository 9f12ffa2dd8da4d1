"""W+ and W: the published coordinates of a drag (DragGAN, arXiv 2305.10973, section 3.2)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dragspace_jax.spaces.layers import LayerSpace, broadcast_layers

DEFAULT_LAYERS = 6


def default_layers(num_ws: int) -> int:
    """The published number of moving layers, or all of a model that has fewer."""
    return min(DEFAULT_LAYERS, num_ws)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class WPlus(LayerSpace):
    """The first `layers` latents of W+, each for itself: K = n·D."""

    name: ClassVar[str] = "w+"
    layers: int = dataclasses.field(default=DEFAULT_LAYERS, metadata={"static": True})

    def dim(self, w_dim: int) -> int:
        return self.layers * w_dim

    def coordinates(self, moving: Float[Array, "n D"]) -> Float[Array, " K"]:
        return moving.reshape(-1)

    def displaced(self, coordinates: Float[Array, " K"]) -> Float[Array, "n D"]:
        return coordinates.reshape(self.layers, -1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class W(LayerSpace):
    """One latent, started from layer 0's, for all of the first `layers` layers: K = D.

    As in the published loop, the other moving layers take layer 0's latent from the start, so there is no residual.
    """

    name: ClassVar[str] = "w"
    layers: int = dataclasses.field(default=DEFAULT_LAYERS, metadata={"static": True})

    def dim(self, w_dim: int) -> int:
        return w_dim

    def coordinates(self, moving: Float[Array, "n D"]) -> Float[Array, " K"]:
        return moving[0]

    def displaced(self, coordinates: Float[Array, " K"]) -> Float[Array, "n D"]:
        return broadcast_layers(coordinates, self.layers)

    def residual(self, moving: Float[Array, "n D"], coordinates: Float[Array, " K"]) -> Float[Array, "n D"]:
        return jnp.zeros_like(moving)
