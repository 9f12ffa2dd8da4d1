"""The space a command drags in, from its options; a PCA basis is fitted once and kept in the user's cache."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax.numpy as jnp
from rich.console import Console

from dragspace_jax.checkpoint import fingerprint
from dragspace_jax.cli.cache import cache_folder
from dragspace_jax.cli.inputs import label_vector
from dragspace_jax.spaces import PCA, Space, SpaceError, W, WPlus, fit_pca
from dragspace_jax.stylegan2 import Generator

SpaceName = Literal["w+", "w", "pca"]
DEFAULT_COMPONENTS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """What the command line says of a space.

    Attributes:
      name: `w+`, `w` or `pca`.
      layers: number of W+ layers that move.
      components: of the PCA; None: `DEFAULT_COMPONENTS` or as many as there are.
      shared: whether the PCA's layers share their coordinates.
    """

    name: SpaceName
    layers: int
    components: int | None = None
    shared: bool = False


def make_space(model: Generator, options: SpaceOptions, label: int | None = None) -> Space:
    """The space, checked against the model.

    Raises:
      SpaceError: it does not fit the model, or components are asked of a space that has none.
      UserError: the label does not fit the model.
    """
    if options.name != "pca" and (options.components is not None or options.shared):
        raise SpaceError(f"--components and --shared belong to --space pca, not to --space {options.name}")
    if options.name == "w+":
        space: Space = WPlus(layers=options.layers)
    elif options.name == "w":
        space = W(layers=options.layers)
    else:
        space = _cached_basis(model, options, label)
    space.check(model)
    return space


def _cached_basis(model: Generator, options: SpaceOptions, label: int | None) -> PCA:
    suffix = "" if label is None else f"-label{label}"
    path = cache_folder() / "bases" / f"{fingerprint(model)}{suffix}.npz"
    if path.is_file():
        basis = PCA.load(path, layers=options.layers, shared=options.shared)
    else:
        Console(stderr=True).print("fitting a PCA basis from 10,000 samples of the model (kept for the next time)")
        one_hot = label_vector(model.config, label)
        vector = None if one_hot is None else jnp.asarray(one_hot[0])
        basis = fit_pca(model, label=vector, layers=options.layers, shared=options.shared)
        basis.save(path)
    available = basis.components.shape[0]
    return basis.truncated(min(DEFAULT_COMPONENTS, available) if options.components is None else options.components)
