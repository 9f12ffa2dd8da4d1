"""Principal displacements: the directions in which finished drags went, one for all moving layers together.

PCA of W knows how images differ; this basis knows how edits move them. A component has a part of its own in every
layer, so K numbers move all of them, each its own way. Nothing published has it.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from dragspace_jax.spaces.axes import check_count, principal_axes
from dragspace_jax.spaces.base import SpaceError
from dragspace_jax.spaces.pca import Basis
from dragspace_jax.stylegan2 import Generator


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Displacement(Basis):
    """Moves the first `layers` latents along K principal displacements, from where the image is: it starts at zero.

    Attributes:
      components: [K, n, D], orthonormal over n·D.
      variance: [K], mean square along each component.
    """

    name: ClassVar[str] = "displacement"

    def dim(self, w_dim: int) -> int:
        return self.components.shape[0]

    def coordinates(self, moving: Float[Array, "n D"]) -> Float[Array, " K"]:
        return jnp.zeros(self.components.shape[0], moving.dtype)

    def displaced(self, coordinates: Float[Array, " K"]) -> Float[Array, "n D"]:
        scaled = coordinates * self.scale
        return jnp.einsum("k,knd->nd", scaled, self.components, precision=jax.lax.Precision.HIGHEST)

    def check(self, model: Generator) -> None:
        self.check_width(model, self.components.shape[2])
        if self.components.shape[1] != self.layers:
            raise SpaceError(
                f"layers is {self.layers}; the basis of displacements was fitted on {self.components.shape[1]}"
            )
        super().check(model)


def fit_displacements(
    starts: ArrayLike, ends: ArrayLike, *, layers: int, components: int | None = None, model: str = ""
) -> Displacement:
    """Principal displacements of finished drags, about zero: to stay where one is costs nothing.

    Args:
      starts, ends: [m, L, D], latents before and after; m drags.
      layers: number n of moving layers, from the first.
      components: number K; None: all that the drags span.
      model: fingerprint of their model.

    Raises:
      SpaceError: shapes that do not fit, fewer than two drags, more components than drags, dimensions or directions.
    """
    before, after = np.asarray(starts, np.float64), np.asarray(ends, np.float64)
    if before.ndim != 3 or before.shape != after.shape:
        raise SpaceError(f"starts {before.shape} and ends {after.shape} must both be [m, L, D]")
    if len(before) < 2:
        raise SpaceError(f"there are {len(before)} finished drags; a basis of displacements needs at least 2")
    if not 1 <= layers <= before.shape[1]:
        raise SpaceError(f"layers is {layers}; the drags' latents have {before.shape[1]} layers")
    moved = (after - before)[:, :layers].reshape(len(before), -1)
    count = check_count(components, {f"{moved.shape[1]} dimensions": moved.shape[1], f"{len(moved)} drags": len(moved)})
    moments = moved.T @ moved / len(moved)
    variance, axes = principal_axes(
        moments, count, mean_square=float(moments.diagonal().max()), exactly=components is not None
    )
    return Displacement(
        components=jnp.asarray(axes.reshape(len(axes), layers, -1), jnp.float32),
        variance=jnp.asarray(variance, jnp.float32),
        scale=jnp.ones(len(axes), jnp.float32),
        layers=layers,
        model=model,
    )
