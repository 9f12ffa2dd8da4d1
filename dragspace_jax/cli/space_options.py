"""The space a command drags in, from its options; a PCA that is in no file is fitted once and kept in the cache."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
from rich.console import Console

from dragspace_jax.cli.cache import cache_folder
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.inputs import label_vector
from dragspace_jax.spaces import (
    PCA,
    Displacement,
    Space,
    SpaceError,
    W,
    WPlus,
    default_layers,
    fit_pca,
    load_space,
    save_space,
)
from dragspace_jax.spaces.fit import DEFAULT_SAMPLES
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.parameters import fingerprint

SpaceName = Literal["w+", "w", "pca", "displacement"]
SPACES: tuple[SpaceName, ...] = ("w+", "w", "pca", "displacement")
DEFAULT_COMPONENTS = 96


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """What the command line says of a space.

    Attributes:
      name: of `SPACES`; None: what the basis is, or `w+` without one.
      layers: number of W+ layers that move; None: the basis's, or the published 6, or all of a model that has fewer.
      components: of a basis; None: all of a file's, of a basis that is fitted here `DEFAULT_COMPONENTS`.
      shared: whether the PCA's layers share their coordinates; None: as a file says, else not.
      basis: a file of `dragspace fit-pca`, or None.
      whiten: the power of whitening; None: as a file says, else 0.
    """

    name: SpaceName | None = None
    layers: int | None = None
    components: int | None = None
    shared: bool | None = None
    basis: str | None = None
    whiten: float | None = None

    @property
    def fits(self) -> bool:
        """Whether the space is fitted to the model, so that the class of its samples counts."""
        return self.name == "pca" and self.basis is None


def make_space(model: Generator, options: SpaceOptions, label: int | None = None) -> Space:
    """The space, checked against the model.

    Raises:
      SpaceError: it does not fit the model, options contradict each other, or the basis cannot be read.
      UserError: the label does not fit the model.
    """
    if options.basis is not None:
        space: Space = _stored(options, options.basis)
    elif options.name == "displacement":
        raise SpaceError("--space displacement needs its --basis; dragspace fit-pca --from-drags writes one")
    elif options.name == "pca":
        space = _chosen(_cached_basis(model, label), options, DEFAULT_COMPONENTS)
    else:
        _check_plain(options)
        kind = W if options.name == "w" else WPlus
        space = kind(layers=default_layers(model.config.num_ws) if options.layers is None else options.layers)
    space.check(model)
    return space


def space_name(options: SpaceOptions) -> str:
    """The name of the space that `make_space` would make, also where only its file says. Raises SpaceError."""
    if options.name is not None:
        return options.name
    return "w+" if options.basis is None else _loaded(options.basis).name


def _check_plain(options: SpaceOptions) -> None:
    """Raises SpaceError if something is asked of W or W+ that only a basis has."""
    name = options.name or "w+"
    if options.components is not None or options.shared:
        raise SpaceError(f"--components and --shared belong to --space pca or a --basis, not to --space {name}")
    if options.whiten:
        raise SpaceError(f"--whiten belongs to --space pca or a --basis, not to --space {name}")


def _loaded(path: str) -> PCA | Displacement:
    """A basis from its file. Raises SpaceError."""
    try:
        is_other = Path(path).exists() and not Path(path).is_file()  # a pipe would be waited for
    except (OSError, ValueError) as error:  # a name that no file can have
        raise SpaceError(f"--basis {path!r} cannot be read ({error})") from error
    if is_other:
        raise SpaceError(f"--basis {path} is not a file; it takes what dragspace fit-pca wrote")
    try:
        space = load_space(path)
    except MemoryError as error:  # a header may promise any shape
        raise SpaceError(f"--basis {path} holds arrays that do not fit in memory") from error
    if not isinstance(space, PCA | Displacement):
        raise SpaceError(f"{path} holds a space of kind {space.name}, which has no basis; leave --basis out")
    return space


def _stored(options: SpaceOptions, path: str) -> PCA | Displacement:
    if options.name in ("w", "w+"):
        raise SpaceError(f"--basis belongs to --space pca or displacement, not to --space {options.name}")
    basis = _loaded(path)
    if options.name is not None and options.name != basis.name:
        raise SpaceError(f"--space is {options.name}, and {path} holds a basis of kind {basis.name}; leave one out")
    return _chosen(basis, options, len(basis.components))


def _chosen(basis: PCA | Displacement, options: SpaceOptions, most: int) -> PCA | Displacement:
    """The basis with what the options say of it; without a word of components at most `most` of them."""
    available = len(basis.components)
    changes: dict[str, Any] = {} if options.layers is None else {"layers": options.layers}
    if options.shared is not None:
        if options.shared and not isinstance(basis, PCA):
            raise SpaceError("--shared belongs to --space pca; components of displacements move all layers together")
        changes |= {"shared": options.shared} if isinstance(basis, PCA) else {}
    chosen = basis.truncated(min(most, available) if options.components is None else options.components)
    chosen = chosen if options.whiten is None else chosen.whitened(options.whiten)
    return dataclasses.replace(chosen, **changes)


def _cached_basis(model: Generator, label: int | None) -> PCA:
    """All components of W, from the user's cache if they are there; the cache may fail, the drag goes on."""
    one_hot = label_vector(model.config, label)
    kind = "" if label is None else f"-label{label}"
    path = cache_folder() / "bases" / f"pca-{fingerprint(model)}{kind}-{DEFAULT_SAMPLES}.npz"
    console = Console(stderr=True)
    try:
        if path.is_file():
            kept = load_space(path)
            kept.check(model)
            if isinstance(kept, PCA):
                return kept
            raise SpaceError(f"{path} holds a space of kind {kept.name}")
    except (SpaceError, OSError):
        console.print(f"the kept PCA basis {path} is damaged; fitting it again", style="yellow")
    console.print(f"fitting a PCA basis from {DEFAULT_SAMPLES:,} samples of the model (kept for the next time)")
    with progress() as bar:
        task = bar.add_task("sampling", total=DEFAULT_SAMPLES)
        basis = fit_pca(
            model,
            label=None if one_hot is None else jnp.asarray(one_hot[0]),
            on_progress=lambda done: bar.update(task, completed=done),
        )
    try:
        save_space(basis, path)
    except OSError as error:
        console.print(f"the basis could not be kept ({error.strerror}: {path.parent})", style="yellow")
    return basis
