"""Recipes of a drag: what everything means that nobody has said.

`least-change` takes the handles to their targets by the change that alters least of the picture (docs/least-change.md).
`published` is the loop of DragGAN as its authors run it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dragspace_jax.biggan import BigGAN
from dragspace_jax.drag.least_change import LeastChange
from dragspace_jax.drag.method import Method
from dragspace_jax.drag.patch_tracking import PatchTracking
from dragspace_jax.drag.settings import SETTINGS, DragSettings, EditError
from dragspace_jax.drag.trust_region import TrustRegion
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces import Space, Unmeasured
from dragspace_jax.spaces.option_fields import SPACE_OPTIONS, SpaceOptions
from dragspace_jax.spaces.options import make_space
from dragspace_jax.stylegan2 import Generator

RECIPES = ("least-change", "published")
DEFAULT_RECIPE = "least-change"
PUBLISHED = DragSettings()
LEAST_CHANGE = DragSettings(steps=40, stall=8, radius_track=24.0)
"""For components in standard deviations."""
_SETTINGS = {"least-change": LEAST_CHANGE, "published": PUBLISHED}
_ARRIVED = 0.7  # px of the image, up to 256 px a side, and in proportion above

_OF_A_LOSS = ("learning_rate", "momentum", "radius_motion", "mask_weight")
_USELESS = {"least-change": _OF_A_LOSS, "published": ("metric",)}
"""{recipe: settings it has no use for}."""
_WHY = {
    "least-change": "follows no loss; leave it out, or take the recipe published",
    "published": "follows a loss; leave it out, or take the recipe least-change",
}

_IN_WORDS = {
    "least-change": {
        "feature_block": "half the image's side, at most 128",
        "tolerance": "0.7, or 1/366 of the image's side",
    },
    "published": {},
}
"""{recipe: {field: what it makes of it}}, where that depends on the space or the network."""

SETTING_KEYS: dict[str, str] = {setting.key or field: field for field, setting in SETTINGS.items()}
"""{key in edits files and on the command line: field of `DragSettings`}."""
CHOICE_KEYS = ("recipe", *SPACE_OPTIONS, *SETTING_KEYS)
"""All keys that say how to drag."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where a drag moves and how.

    Attributes:
      name: of `RECIPES`.
      space: for the model it was asked for.
      settings: complete but for what depends on the edit's mask.
    """

    name: str
    space: Space
    settings: DragSettings


_made: dict[tuple[str, str, int | None], Recipe] = {}


def recipe(name: str, model: Generator | BigGAN, *, label: int | None = None) -> Recipe:
    """A recipe for a model. Its basis is fitted once and kept in the user's cache; a second call costs nothing.

    Args:
      name: of `RECIPES`.
      model: the generator; of a BigGAN z moves.
      label: class of the images, for a model with classes: the basis is one of theirs.

    Raises:
      EditError: no such recipe.
      InputError: the label does not fit the model.
    """
    options = space_of(family_choices({"recipe": name}, model))
    key = (name, fingerprint(model), label if options.fits else None)
    if key not in _made:
        _made[key] = Recipe(
            name=name,
            space=_measured(make_space(model, options, key[2])),
            settings=complete_settings(name, model.config.resolution),
        )
    return _made[key]


def _measured(space: Space | Unmeasured) -> Space:
    assert isinstance(space, Space)  # no recipe names another
    return space


def complete_space(name: str, options: SpaceOptions) -> SpaceOptions:
    """The options with the recipe's space if they name none. Raises EditError: no such recipe."""
    _check(name)
    if options.channels is not None and options.space is None:
        options = dataclasses.replace(options, space="channels")
    if options.basis is None and options.space is None:
        options = dataclasses.replace(options, space="w+" if name == "published" else "pca")
    if (
        name == "least-change"
        and options.whiten is None
        and (options.basis is not None or options.space in ("pca", "lowrank"))
    ):
        return dataclasses.replace(options, whiten=1.0)  # lengths are then deviations
    return options


def complete_settings(name: str, resolution: int, chosen: Mapping[str, Any] | None = None) -> DragSettings:
    """The recipe's settings.

    Args:
      name: of the recipe.
      resolution: of the image.
      chosen: {field: value} of those that are not the recipe's; None counts as absent.

    Raises:
      EditError: no such recipe, or a setting that it has no use for.
    """
    _check(name)
    named = {field: value for field, value in (chosen or {}).items() if value is not None}
    if useless := [field for field in _USELESS[name] if field in named]:
        raise EditError(f"{useless[0]} is of no use to the recipe {name}, which {_WHY[name]}", field=useless[0])
    settings = PUBLISHED
    if name == "least-change":
        block = min(128, max(4, resolution // 2))
        method = Method(objective=PatchTracking(), direction=LeastChange(), size=TrustRegion(side=resolution))
        tolerance = _ARRIVED * max(1.0, resolution / 256)
        settings = dataclasses.replace(LEAST_CHANGE, feature_block=block, tolerance=tolerance, method=method)
    return dataclasses.replace(settings, **named)


def family_choices(chosen: Mapping[str, Any], model: Generator | BigGAN) -> dict[str, Any]:
    """Values by `CHOICE_KEYS`, with the space of the model's family where they name none: a BigGAN has its z alone."""
    named = chosen.get("space") is not None or chosen.get("basis") is not None
    return {**chosen} if named or not isinstance(model, BigGAN) else {**chosen, "space": "z"}


def space_of(chosen: Mapping[str, Any]) -> SpaceOptions:
    """The space that values by `CHOICE_KEYS` name, their recipe's if none. Raises EditError: no such recipe."""
    return complete_space(chosen["recipe"], SpaceOptions(**{key: chosen.get(key) for key in SPACE_OPTIONS}))


def settings_of(chosen: Mapping[str, Any], resolution: int) -> DragSettings:
    """The settings that values by `CHOICE_KEYS` name, and their recipe's. Raises EditError: no such recipe."""
    named = {field: chosen.get(key) for key, field in SETTING_KEYS.items()}
    return complete_settings(chosen["recipe"], resolution, named)


def default_in_words(field: str) -> str:
    """What an omitted setting means: of the default recipe, then of those that take another."""
    found = {name: _words(name, settings, field) for name, settings in _SETTINGS.items()}
    first = found.pop(DEFAULT_RECIPE)
    others: dict[str, list[str]] = {}
    for name, words in found.items():
        if words != first:
            others.setdefault(words, []).append(name)
    return "; ".join([first, *(f"{' and '.join(names)}: {words}" for words, names in others.items())])


def _words(name: str, settings: DragSettings, field: str) -> str:
    if field in _USELESS[name]:
        return "none"
    if field in _IN_WORDS[name]:
        return _IN_WORDS[name][field]
    value = getattr(settings, field)
    if value is None:
        return SETTINGS[field].default
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _check(name: str) -> None:
    if name not in RECIPES:
        raise EditError(f"recipe is {name!r}; it must be {' or '.join(RECIPES)}", field="recipe")
