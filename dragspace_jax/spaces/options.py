"""The space that options ask for, checked against the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.analysis.region_file import DirectionsError, RegionDirections, read_region_directions
from dragspace_jax.arrays import UnreadableArrays, holds_array
from dragspace_jax.biggan import BigGAN
from dragspace_jax.spaces.base import Space, SpaceError, Unmeasured
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.spaces.channels import Channels
from dragspace_jax.spaces.displacement import Displacement
from dragspace_jax.spaces.layers import LayerSpace
from dragspace_jax.spaces.option_fields import DEFAULT_COMPONENTS, WHITENED_COMPONENTS, SpaceOptions
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.spaces.region import RegionSpace
from dragspace_jax.spaces.stored import load_space
from dragspace_jax.spaces.wplus import W, WPlus, default_layers
from dragspace_jax.spaces.z import Z
from dragspace_jax.stylegan2 import Generator

NEGLIGIBLE = 1e-3
"""Of the first component's variance: components with less carry what a mapping network did not mean, and a drag that
moves along them leaves what the model was trained on."""


def make_space(
    model: Generator | BigGAN,
    options: SpaceOptions,
    label: int | None = None,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> Space | Unmeasured:
    """The space, checked against the model; one that is measured on an edit's image is still unmeasured.

    Args:
      model: the generator.
      options: what is said of it.
      label: class of the samples, if a basis is fitted and the model has classes.
      on_progress: called with the number of samples done, if a basis is fitted.

    Raises:
      SpaceError: it does not fit the model, options contradict each other, or the basis cannot be read.
      InputError: the label does not fit the model.
    """
    if isinstance(model, BigGAN) or options.space == "z":
        return _of_z(model, options)
    if options.space == "channels" or options.channels is not None:
        return _of_channels(model, options, label)
    if options.layers is not None:
        WPlus(layers=options.layers).check(model)  # before a basis is fitted, which takes a while
    if options.basis is not None:
        stored = _directions(options.basis)
        space: Space | Unmeasured = (
            _stored(options, options.basis) if stored is None else _of_regions(options, label, stored)
        )
    elif options.space == "lowrank":
        space = _of_regions(options, label, None)
    elif options.space == "pca":
        fitted = cached_pca(model, label, on_progress=on_progress)
        most = WHITENED_COMPONENTS if options.whiten == 1.0 else DEFAULT_COMPONENTS
        variance = np.asarray(fitted.variance)
        telling = int(np.sum(variance >= NEGLIGIBLE * variance[0]))
        space = _chosen(fitted, options, max(1, min(most, telling)))
    else:
        _check_plain(options)
        kind = W if options.space == "w" else WPlus
        space = kind(layers=default_layers(model.config.num_ws) if options.layers is None else options.layers)
    space.check(model)
    return space


def _of_z(model: Generator | BigGAN, options: SpaceOptions) -> Z:
    """Raises SpaceError if the model is no BigGAN, or if something else of one is asked for."""
    space = Z()
    space.check(model)
    other = next((field for field in ("basis", "layers") if getattr(options, field) is not None), None)
    if options.space not in (None, "z"):
        raise SpaceError(f"space is {options.space}; a BigGAN has no W, and takes `space` z", field="space")
    if other is not None:
        raise SpaceError(f"{other} belongs to the W of a StyleGAN2; a BigGAN takes `space` z", field=f"{other} space")
    _check_plain(options)
    return space


def _of_channels(model: Generator, options: SpaceOptions, label: int | None) -> Channels:
    """Raises SpaceError if no channels are named, or something else of another space is."""
    from dragspace_jax.analysis.styles import channel_space  # which builds on spaces

    if options.channels is None:
        raise SpaceError("space channels needs `channels`, such as ear or b16.conv1:12", field="space channels")
    if options.space not in (None, Channels.name):
        raise SpaceError(f"channels belongs to `space` channels, not to {options.space}", field="channels space")
    for field in ("layers", "components", "shared", "basis"):
        if getattr(options, field) is not None:
            raise SpaceError(f"{field} is of no use to `space` channels", field=f"{field} space")
    return channel_space(model, options.channels, label=label)


def space_name(options: SpaceOptions) -> str:
    """The name of the space that `make_space` would make, also where only its file says. Raises SpaceError."""
    if options.space is not None:
        return options.space
    if options.channels is not None:
        return Channels.name
    if options.basis is None:
        return "w+"
    return _loaded(options.basis).name if _directions(options.basis) is None else RegionSpace.name


def space_record(space: Space | Unmeasured) -> dict[str, Any]:
    """A space in numbers, as JSON holds them: its name and its settings, without its arrays."""
    record: dict[str, Any] = {"name": space.name}
    if isinstance(space, RegionSpace):
        named = {key: getattr(space, key) for key in ("layers", "components", "whiten", "shared")}
        return record | {key: value for key, value in named.items() if value is not None}
    if isinstance(space, Channels):
        record["channels"] = {name: np.asarray(index).tolist() for name, index in sorted(space.index.items())}
    if isinstance(space, LayerSpace):
        record["layers"] = int(space.layers)
    if isinstance(space, PCA | Displacement):
        record |= {"components": len(space.components), "whiten": _power(space)}
    return record | ({"shared": space.shared} if isinstance(space, PCA) else {})


def _power(basis: PCA | Displacement) -> float:
    """The power of whitening, which the basis keeps as the lengths that came of it."""
    variance, scale = np.asarray(basis.variance, np.float64), np.asarray(basis.scale, np.float64)
    if (scale == 1).all():
        return 0.0
    telling = np.abs(np.log(variance)).argmax()  # at a variance of 1 every power is the same
    return round(float(2 * np.log(scale[telling]) / np.log(variance[telling])), 4)


def _check_plain(options: SpaceOptions) -> None:
    """Raises SpaceError if something is asked of W or W+ that only a basis has."""
    for field in ("components", "shared", "whiten"):
        if getattr(options, field):
            raise SpaceError(
                f"{field} belongs to `space` pca or a `basis`, not to `space` {options.space or 'w+'}",
                field=f"{field} space basis",
            )


def _of_regions(options: SpaceOptions, label: int | None, stored: RegionDirections | None) -> RegionSpace:
    if options.space not in (None, RegionSpace.name):
        raise SpaceError(
            f"space is {options.space}, and {options.basis} holds directions of dragspace lowrank; leave `space` out",
            field="space",
        )
    return RegionSpace(
        layers=options.layers,
        components=options.components,
        shared=bool(options.shared),
        whiten=options.whiten or 0.0,
        label=label,
        file=options.basis or "",
        stored=stored,
    )


def _directions(path: str) -> RegionDirections | None:
    """What dragspace lowrank wrote; None if the file is another. Raises SpaceError if it is damaged."""
    try:
        if not (Path(path).is_file() and holds_array(path, "rank_region")):
            return None
        return read_region_directions(path)
    except (DirectionsError, UnreadableArrays) as error:
        raise SpaceError(f"basis {path} cannot be read: {error}", field="basis") from error
    except (OSError, ValueError):
        return None  # `_loaded` says what is wrong


def _loaded(path: str) -> PCA | Displacement:
    """A basis from its file. Raises SpaceError."""
    try:
        is_other = Path(path).exists() and not Path(path).is_file()  # a pipe would be waited for
    except (OSError, ValueError) as error:  # a name that no file can have
        raise SpaceError(f"basis {path!r} cannot be read ({error})", field="basis") from error
    if is_other:
        raise SpaceError(f"basis {path} is not a file; it takes what dragspace fit-pca wrote", field="basis")
    try:
        space = load_space(path)
    except MemoryError as error:  # a header may promise any shape
        raise SpaceError(f"basis {path} holds arrays that do not fit in memory", field="basis") from error
    if not isinstance(space, PCA | Displacement):
        raise SpaceError(
            f"{path} holds a space of kind {space.name}, which has no components; leave `basis` out", field="basis"
        )
    return space


def _stored(options: SpaceOptions, path: str) -> PCA | Displacement:
    if options.space in ("w", "w+"):
        raise SpaceError(f"basis belongs to `space` pca, not to `space` {options.space}", field="basis space")
    basis = _loaded(path)
    if options.space is not None and options.space != basis.name:
        raise SpaceError(
            f"space is {options.space}, and {path} holds a basis of kind {basis.name}; leave `space` out", field="space"
        )
    return _chosen(basis, options, len(basis.components))


def _chosen(basis: PCA | Displacement, options: SpaceOptions, most: int) -> PCA | Displacement:
    """The basis with what the options say of it; without a word of components at most `most` of them."""
    available = len(basis.components)
    changes: dict[str, Any] = {} if options.layers is None else {"layers": options.layers}
    if options.shared is not None:
        if options.shared and not isinstance(basis, PCA):
            raise SpaceError(
                "shared belongs to `space` pca; components of displacements move all layers together",
                field="shared space",
            )
        changes |= {"shared": options.shared} if isinstance(basis, PCA) else {}
    chosen = basis.truncated(min(most, available) if options.components is None else options.components)
    chosen = chosen if options.whiten is None else chosen.whitened(options.whiten)
    return dataclasses.replace(chosen, **changes)
