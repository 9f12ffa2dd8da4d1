"""Spaces on the first layers of W+: what W+, W and the fitted bases of StyleGAN2 share.

They move the first `layers` layers and go through the model's affine maps; whatever is fixed has its styles computed
once, and offsets of styles stay as they are.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.spaces.base import Space, SpaceError
from dragspace_jax.stylegan2 import Generator, Latents, Styles
from dragspace_jax.stylegan2.network import PreparedSynthesis
from dragspace_jax.stylegan2.parameters import fingerprint


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerBase:
    """What stays while the coordinates move.

    Attributes:
      latents: ws [L, D] and offsets [C], which an edit starts from.
      residual: [n, D], what the coordinates do not express of the moving layers.
      styles: {name: [1, C]} of the convolutions that the moving layers do not feed.
    """

    latents: Latents
    residual: jax.Array
    styles: dict[str, jax.Array]


class LayerSpace(Space):
    """A space on the first `layers` layers of W+.

    Attributes:
      layers: number n of moving layers.
      model: fingerprint of the model that the space was measured on; empty if it suits any.
    """

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

    def encode(self, network: PreparedSynthesis, latents: Latents) -> tuple[jax.Array, LayerBase]:
        """ws [L, D], offsets [C] → coordinates [K] and the base."""
        moving = latents.ws[: self.layers]
        coordinates = self.coordinates(moving)
        fixed = [name for name, layer in network.layer_of().items() if layer >= self.layers]
        styles = network.styles(_one(latents), fixed)
        residual = self.residual(moving, coordinates)
        return coordinates, LayerBase(latents=latents, residual=residual, styles=styles)

    def decode(self, coordinates: jax.Array, base: LayerBase) -> Latents:
        """Coordinates [K] → ws [L, D], offsets [C]."""
        ws = base.latents.ws.at[: self.layers].set(base.residual + self.displaced(coordinates))
        return dataclasses.replace(base.latents, ws=ws)

    def styles(self, network: PreparedSynthesis, coordinates: jax.Array, base: LayerBase) -> Styles:
        """Coordinates [K] → styles {name: [1, C]}; only the moving layers go through the affine maps."""
        moved = [name for name, layer in network.layer_of().items() if layer < self.layers]
        return {**base.styles, **network.styles(_one(self.decode(coordinates, base)), moved)}


def _one(latents: Latents) -> Latents:
    """One image's latents as a batch of one."""
    return jax.tree.map(lambda leaf: leaf[None], latents)


def broadcast_layers(vector: jax.Array, layers: int) -> jax.Array:
    """One w [D] for every moving layer: [n, D]."""
    return jnp.broadcast_to(vector[None], (layers, vector.shape[0]))
