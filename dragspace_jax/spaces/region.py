"""The low-rank space of a region: a drag that moves along directions which leave the rest of the image alone.

The directions are measured on the very image that is dragged, or read from a file of `dragspace lowrank`; until the
image is known a space is only spoken of (`RegionSpace`).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from dragspace_jax.analysis.local import region_grams
from dragspace_jax.analysis.lowrank import DIRECTIONS, Solver, subspaces
from dragspace_jax.analysis.region_file import RegionDirections
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces.base import SpaceError, Unmeasured
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.spaces.lowrank import LowRank
from dragspace_jax.spaces.wplus import DEFAULT_LAYERS, WPlus, default_layers
from dragspace_jax.stylegan2 import Generator

_SAME = 1e-4  # of latents that a basis was measured on, and of those that are dragged
_DEPENDENT = 1e-3  # of the longest: what a direction adds to those before it, or it is left out


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionSpace(Unmeasured):
    """The low-rank space of whatever region an edit names, measured where the edit starts.

    Attributes:
      layers: number n of moving layers, from the first; None: the published 6, or all of a model that has fewer.
      components: directions K.
      shared: one set of coordinates for all layers, or one a layer.
      whiten: power of the standard deviations that coordinates are measured in.
      solver: `closed` or `rpca`.
      label: class of the samples whose deviations count, for a model with classes.
      file: directions to take instead, by their name for messages, and
      stored: the directions: one for all images, or those of the image that is dragged.
    """

    name: ClassVar[str] = "lowrank"
    layers: int | None = None
    components: int | None = None
    shared: bool = False
    whiten: float = 0.0
    solver: Solver = "closed"
    label: int | None = None
    file: str = ""
    stored: RegionDirections | None = None

    def check(self, model: Any) -> None:
        if not isinstance(model, Generator):
            raise SpaceError("space lowrank needs a StyleGAN2", field="space")
        WPlus(layers=self._layers(model)).check(model)
        if self.components is not None and self.components < 1:
            raise SpaceError(f"components is {self.components}; at least one direction is needed", field="components")
        if self.stored is not None and self.stored.model != fingerprint(model):
            raise SpaceError(
                f"basis {self.file} was measured on another model, {self.stored.model} by its fingerprint; this one "
                f"is {fingerprint(model)}: measure it on this one (dragspace lowrank)",
                field="basis",
            )
        if self.stored is not None and self.stored.coordinates != "w":
            raise SpaceError(f"basis {self.file} holds directions of z; a drag moves w", field="basis")

    def measured(self, model: Any, latents: Any, region: Bool[np.ndarray, "H W"] | None) -> LowRank:
        """The space of one image.

        Args:
          model: the generator.
          latents: ws [L, D], where the edit starts.
          region: true where it may change.

        Raises:
          SpaceError: no region, or none of the file's images is this one, or the region has no directions.
        """
        layers = self._layers(model)
        ws = np.asarray(latents.ws)
        if self.stored is not None:
            directions = self._of_image(self.stored, ws)
        elif region is None:
            raise SpaceError(
                "space lowrank is measured where the image may change: name it by `region` or `segment`, or give a "
                "`basis`",
                field="space region segment basis",
            )
        else:
            grams = region_grams(model, ws, region, layers=range(layers), channels="each")
            (found,) = subspaces([grams], solver=self.solver, directions=self.components or DIRECTIONS)
            directions = found.directions
        if not len(directions):
            raise SpaceError("the region has no directions; take a larger one", field="region")
        width = self.components or (DIRECTIONS if self.stored is None else self.stored.directions.shape[1])
        space = lowrank_space(model, directions[:width], width=width, layers=layers, label=self.label)
        return dataclasses.replace(space.whitened(self.whiten), shared=self.shared)

    def _layers(self, model: Generator) -> int:
        return default_layers(model.config.num_ws) if self.layers is None else self.layers

    def _of_image(self, stored: RegionDirections, ws: Float[np.ndarray, "L D"]) -> Float[np.ndarray, "K D"]:
        if len(stored.subspaces) == 1:
            return stored.subspaces[0].directions
        far = np.abs(stored.ws - ws[None]).max((1, 2))
        index = int(far.argmin())
        if far[index] > _SAME:
            raise SpaceError(
                f"basis {self.file} holds directions of {len(far)} images, and none of them is the one that is "
                "dragged; measure one basis for all (dragspace lowrank --shared)",
                field="basis",
            )
        return stored.subspaces[index].directions


def lowrank_space(
    model: Generator,
    directions: Float[np.ndarray, "K D"],
    *,
    width: int | None = None,
    layers: int = DEFAULT_LAYERS,
    label: int | None = None,
) -> LowRank:
    """The space that directions span, along W's own axes in it.

    Args:
      model: the generator.
      directions: independent or not.
      width: components of the space, some of them zero; None: as many as there are directions.
      layers: number n of moving layers.
      label: class of the samples, for a model with classes.

    Raises:
      SpaceError: directions that are not finite, all zero, or of another width.
      InputError: the label does not fit the model.
    """
    if directions.shape[1] != model.config.w_dim or not np.isfinite(directions).all() or not directions.any():
        raise SpaceError(
            f"directions have shape {directions.shape}; finite ones of width {model.config.w_dim} are needed"
        )
    _, lengths, span = np.linalg.svd(np.asarray(directions, np.float64), full_matrices=False)
    span = span[lengths > _DEPENDENT * lengths[0]]
    basis = cached_pca(model, label)
    axes, variance = np.asarray(basis.components, np.float64), np.asarray(basis.variance, np.float64)
    onto = span @ axes.T
    found, rotation = np.linalg.eigh(onto * variance[None] @ onto.T)
    # A direction that W does not vary in still has a deviation that can be divided by.
    found = np.maximum(found[::-1], _DEPENDENT**2 * found[-1])
    components = rotation.T[::-1] @ span
    missing = (len(directions) if width is None else width) - len(components)
    return LowRank(
        mean=jnp.asarray(basis.mean),
        components=jnp.asarray(np.pad(components, ((0, missing), (0, 0))), jnp.float32),
        variance=jnp.asarray(np.pad(found, (0, missing), mode="edge"), jnp.float32),
        scale=jnp.ones(len(components) + missing, jnp.float32),
        layers=layers,
        model=fingerprint(model),
    )
