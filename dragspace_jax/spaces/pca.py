"""PCA coordinates of W (GANSpace, arXiv 2004.02546; dragged in by DragGANSpace, arXiv 2509.22169)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dragspace_jax.spaces.base import SpaceError
from dragspace_jax.spaces.layers import LayerSpace, broadcast_layers
from dragspace_jax.spaces.wplus import DEFAULT_LAYERS
from dragspace_jax.stylegan2 import Generator

_HIGHEST = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True, kw_only=True)
class Basis(LayerSpace):
    """What spaces with a fitted basis of K components share.

    Attributes:
      components: [K, …], orthonormal, by falling variance.
      variance: [K], variance along each component.
      scale: [K], the length of a coordinate's unit along its component; 1 throughout: not whitened.
    """

    components: jax.Array
    variance: jax.Array
    scale: jax.Array
    layers: int = dataclasses.field(default=DEFAULT_LAYERS, metadata={"static": True})
    model: str = dataclasses.field(default="", metadata={"static": True})

    def truncated(self, components: int) -> Self:
        """The space of the first `components` components. Raises SpaceError if there are fewer."""
        if not 1 <= components <= self.components.shape[0]:
            raise SpaceError(f"components is {components}; the basis has {self.components.shape[0]}")

        def first(array: jax.Array) -> jax.Array:
            return jnp.asarray(np.asarray(array)[:components])  # cut on the host: a start compiles nothing for it

        return dataclasses.replace(
            self, components=first(self.components), variance=first(self.variance), scale=first(self.scale)
        )

    def check(self, model: Generator) -> None:
        super().check(model)
        count = self.components.shape[0]
        if self.variance.shape != (count,) or self.scale.shape != (count,):
            raise SpaceError(
                f"the basis has {count} components, variance {self.variance.shape} and scale {self.scale.shape}; "
                "each needs one number a component"
            )

    def whitened(self, power: float = 1.0) -> Self:
        """The same span with coordinates in standard deviations to a power: 1 is whitened, 0 as it lies in W.

        A solver that gives every coordinate the same step moves by `scale` along each component, so this is a learning
        rate a component, by explained variance.

        Raises:
          SpaceError: a component without variance, or a power that is not from 0 to 1.
        """
        if not 0.0 <= power <= 1.0:
            raise SpaceError(f"the power of whitening is {power}; it must be from 0 (none) to 1 (whole)")
        variance = np.asarray(self.variance)  # likewise
        if power > 0 and variance.min() <= 0.0:
            raise SpaceError(
                "the covariance is degenerate: a component without variance cannot be whitened; take fewer"
            )
        return dataclasses.replace(self, scale=jnp.asarray(variance ** np.float32(power / 2)))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PCA(Basis):
    """Moves the first `layers` latents within the span of K principal components of W.

    Attributes:
      mean: [D], mean of W.
      components: [K, D].
      shared: one set of coordinates for all layers (K numbers) or one a layer (n·K).
    """

    name: ClassVar[str] = "pca"
    mean: jax.Array
    shared: bool = dataclasses.field(default=False, metadata={"static": True})

    def dim(self, w_dim: int) -> int:
        return self.components.shape[0] * (1 if self.shared else self.layers)

    def coordinates(self, moving: Float[Array, "n D"]) -> Float[Array, " K"]:
        centred = moving - broadcast_layers(self.mean, self.layers)
        per_layer = jnp.matmul(centred, self.components.T, precision=_HIGHEST) / broadcast_layers(
            self.scale, self.layers
        )
        return per_layer.mean(0) if self.shared else per_layer.reshape(-1)

    def displaced(self, coordinates: Float[Array, " K"]) -> Float[Array, "n D"]:
        per_layer = broadcast_layers(coordinates, self.layers) if self.shared else coordinates.reshape(self.layers, -1)
        scaled = per_layer * broadcast_layers(self.scale, self.layers)
        moved = jnp.matmul(scaled, self.components, precision=_HIGHEST)
        return moved + broadcast_layers(self.mean, self.layers)

    def check(self, model: Generator) -> None:
        self.check_width(model, self.mean.shape[0])
        self.check_width(model, self.components.shape[1])
        super().check(model)
