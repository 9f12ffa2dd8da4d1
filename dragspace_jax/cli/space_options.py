"""The space a command drags in, from its options; a PCA basis is fitted once and kept in the user's cache."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax.numpy as jnp
from rich.console import Console

from dragspace_jax.checkpoint import fingerprint
from dragspace_jax.cli.cache import cache_folder
from dragspace_jax.cli.inputs import label_vector
from dragspace_jax.spaces import PCA, Space, SpaceError, W, WPlus, default_layers, fit_pca
from dragspace_jax.spaces.pca import DEFAULT_SAMPLES
from dragspace_jax.stylegan2 import Generator

SpaceName = Literal["w+", "w", "pca"]
DEFAULT_COMPONENTS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """What the command line says of a space.

    Attributes:
      name: `w+`, `w` or `pca`.
      layers: number of W+ layers that move; None: the published 6, or all of a model that has fewer.
      components: of the PCA; None: `DEFAULT_COMPONENTS` or as many as there are.
      shared: whether the PCA's layers share their coordinates.
    """

    name: SpaceName
    layers: int | None = None
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
    layers = default_layers(model.config.num_ws) if options.layers is None else options.layers
    if options.name == "w+":
        space: Space = WPlus(layers=layers)
    elif options.name == "w":
        space = W(layers=layers)
    else:
        basis = _cached_basis(model, label)
        available = basis.components.shape[0]
        count = min(DEFAULT_COMPONENTS, available) if options.components is None else options.components
        space = dataclasses.replace(basis.truncated(count), layers=layers, shared=options.shared)
    space.check(model)
    return space


def _cached_basis(model: Generator, label: int | None) -> PCA:
    """All components of W, from the user's cache if they are there; the cache may fail, the drag goes on."""
    one_hot = label_vector(model.config, label)
    suffix = "" if label is None else f"-label{label}"
    path = cache_folder() / "bases" / f"{fingerprint(model)}{suffix}.npz"
    console = Console(stderr=True)
    try:
        if path.is_file():
            return PCA.load(path)
    except (SpaceError, OSError):
        console.print(f"the kept PCA basis {path} is damaged; fitting it again", style="yellow")
    console.print(f"fitting a PCA basis from {DEFAULT_SAMPLES:,} samples of the model (kept for the next time)")
    basis = fit_pca(model, label=None if one_hot is None else jnp.asarray(one_hot[0]))
    try:
        basis.save(path)
    except OSError as error:
        console.print(f"the basis could not be kept ({error.strerror}: {path.parent})", style="yellow")
    return basis
