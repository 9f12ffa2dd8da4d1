"""What a space is: a chart that turns K coordinates into latents, and those into styles.

`encode` splits latents into coordinates and a base; the base holds what an edit does not move, so that decoding what
was encoded gives the same latents. W-like spaces, the ones here, move the first `layers` layers of W+ and go through
the model's affine maps; whatever is fixed has its styles computed once.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.errors import DragspaceError
from dragspace_jax.stylegan2 import Generator, Styles
from dragspace_jax.stylegan2.parameters import fingerprint


class SpaceError(DragspaceError):
    """A space that does not fit the model or the latents."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
    """What stays while the coordinates move.

    Attributes:
      ws: [L, D], the latents an edit starts from.
      residual: [n, D], what the coordinates do not express of the moving layers.
      styles: {name: [1, C]} of the convolutions that the moving layers do not feed.
    """

    ws: jax.Array
    residual: jax.Array
    styles: dict[str, jax.Array]


class Space(ABC):
    """A W-like space on the first `layers` layers of W+; a pytree, so that a batch may hold one a lane.

    Attributes:
      name: as the command line has it.
      layers: number n of moving layers.
      model: fingerprint of the model that the space was measured on; empty if it suits any.
    """

    name: ClassVar[str]
    layers: int
    model: str = ""

    @abstractmethod
    def dim(self, w_dim: int) -> int:
        """Number K of coordinates, for a W of width D."""

    @abstractmethod
    def coordinates(self, moving: jax.Array) -> jax.Array:
        """Coordinates [K] of the moving layers' latents [n, D]."""

    @abstractmethod
    def displaced(self, coordinates: jax.Array) -> jax.Array:
        """The latents [n, D] that coordinates [K] express, without the residual; [1, D] if they share one vector."""

    def residual(self, moving: jax.Array, coordinates: jax.Array) -> jax.Array:
        """What is left of the moving layers [n, D] beside their coordinates."""
        return moving - self.displaced(coordinates)

    def check(self, model: Generator) -> None:
        """Raises SpaceError if the space does not fit the model."""
        if not isinstance(self.layers, int | np.integer) or not 1 <= self.layers <= model.config.num_ws:
            raise SpaceError(f"layers is {self.layers}; the model has {model.config.num_ws} layers of W+")
        if self.model and self.model != fingerprint(model):
            raise SpaceError(
                f"the basis was fitted on another model, {self.model} by its fingerprint; this one is "
                f"{fingerprint(model)}: fit a basis of it (dragspace fit-pca)"
            )

    def check_width(self, model: Generator, width: int) -> None:
        """Raises SpaceError if the space is not one of a W of the model's width."""
        if width != model.config.w_dim:
            raise SpaceError(f"the basis is of a W of width {width}; the model's is {model.config.w_dim}")

    def encode(self, model: Generator, ws: jax.Array) -> tuple[jax.Array, Base]:
        """ws [L, D] → coordinates [K] and the base."""
        moving = ws[: self.layers]
        coordinates = self.coordinates(moving)
        fixed = [name for name, layer in model.synthesis.layer_of().items() if layer >= self.layers]
        styles = model.synthesis.styles(ws[None], fixed)
        return coordinates, Base(ws=ws, residual=self.residual(moving, coordinates), styles=styles)

    def latents(self, coordinates: jax.Array, base: Base) -> jax.Array:
        """Coordinates [K] → ws [L, D]."""
        return base.ws.at[: self.layers].set(base.residual + self.displaced(coordinates))

    def decode(self, model: Generator, coordinates: jax.Array, base: Base) -> Styles:
        """Coordinates [K] → styles {name: [1, C]}; only the moving layers go through the affine maps."""
        moved = [name for name, layer in model.synthesis.layer_of().items() if layer < self.layers]
        return {**base.styles, **model.synthesis.styles(self.latents(coordinates, base)[None], moved)}


def broadcast_layers(vector: jax.Array, layers: int) -> jax.Array:
    """One w [D] for every moving layer: [n, D]."""
    return jnp.broadcast_to(vector[None], (layers, vector.shape[0]))
