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
from jaxtyping import Array, Float

from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces.base import Space, SpaceError
from dragspace_jax.stylegan2 import Generator, Latents, Styles
from dragspace_jax.stylegan2.network import PreparedSynthesis


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
    def coordinates(self, moving: Float[Array, "n D"]) -> Float[Array, " K"]:
        """Coordinates of the moving layers' latents."""

    @abstractmethod
    def displaced(self, coordinates: Float[Array, " K"]) -> Float[Array, "n D"]:
        """The latents that coordinates express, without the residual."""

    def residual(self, moving: Float[Array, "n D"], coordinates: Float[Array, " K"]) -> Float[Array, "n D"]:
        """What is left of the moving layers beside their coordinates."""
        return moving - self.displaced(coordinates)

    def check(self, model: Generator) -> None:
        """Raises SpaceError if the space does not fit the model."""
        whole = isinstance(self.layers, int | np.integer)  # pyright: ignore[reportUnnecessaryIsInstance]  # users' input
        if not whole or not 1 <= self.layers <= model.config.num_ws:
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

    def encode(self, network: PreparedSynthesis, latents: Latents) -> tuple[Float[Array, " K"], LayerBase]:
        """ws [L, D], offsets [C] → coordinates and the base."""
        moving = latents.ws[: self.layers]
        coordinates = self.coordinates(moving)
        fixed = [name for name, layer in network.layer_of().items() if layer >= self.layers]
        styles = network.styles(_one(latents), fixed)
        residual = self.residual(moving, coordinates)
        return coordinates, LayerBase(latents=latents, residual=residual, styles=styles)

    def decode(self, coordinates: Float[Array, " K"], base: LayerBase) -> Latents:
        """Coordinates → ws [L, D], offsets [C]."""
        ws = base.latents.ws.at[: self.layers].set(base.residual + self.displaced(coordinates))
        return dataclasses.replace(base.latents, ws=ws)

    def styles(self, network: PreparedSynthesis, coordinates: Float[Array, " K"], base: LayerBase) -> Styles:
        """Coordinates → styles {name: [1, C]}; only the moving layers go through the affine maps."""
        moved = [name for name, layer in network.layer_of().items() if layer < self.layers]
        return {**base.styles, **network.styles(_one(self.decode(coordinates, base)), moved)}


def _one(latents: Latents) -> Latents:
    """One image's latents as a batch of one."""
    return jax.tree.map(lambda leaf: leaf[None], latents)


def broadcast_layers(vector: Float[Array, " D"], layers: int) -> Float[Array, "{layers} D"]:
    """One vector for every moving layer."""
    return jnp.broadcast_to(vector[None], (layers, vector.shape[0]))
