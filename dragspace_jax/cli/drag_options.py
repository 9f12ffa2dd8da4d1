"""How to drag: the options that `drag` and `batch` share, and what they mean to a drag and its space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from dragspace_jax.cli.space_options import SpaceOptions
from dragspace_jax.drag import DragSettings

PUBLISHED = DragSettings()
SPACES, NOISES, DTYPES, ENGINES = ("w+", "w", "pca"), ("const", "none"), ("float32", "bfloat16"), ("window", "whole")

_FIELDS = {
    "feature_block": "feature_block",
    "lr": "learning_rate",
    "steps": "steps",
    "radius_motion": "radius_motion",
    "radius_track": "radius_track",
    "mask_weight": "mask_weight",
    "stall": "stall",
    "engine": "engine",
    "noise": "noise",
    "dtype": "dtype",
}
"""The option's name → the field of `DragSettings`."""

SETTING_NAMES = ("space", "layers", "components", "shared", *_FIELDS)
"""The options' names."""

_OPTIONS = (
    click.option("--space", type=click.Choice(SPACES), default="w+", show_default=True),
    click.option("--layers", type=int, help="Layers of W+ that move, from the first [default: 6, or all there are]."),
    click.option("--components", type=int, help="Components of --space pca [default: 64, or all there are]."),
    click.option("--shared", is_flag=True, help="One set of PCA coordinates for all layers, not one a layer."),
    click.option(
        "--feature-block", type=int, help="Block whose features are followed [default: 128, or half the image's side]."
    ),
    click.option("--noise", type=click.Choice(NOISES), default=PUBLISHED.noise, show_default=True),
    click.option("--dtype", type=click.Choice(DTYPES), default=PUBLISHED.dtype, show_default=True),
    click.option("--lr", default=PUBLISHED.learning_rate, show_default=True, help="Learning rate of Adam."),
    click.option("--steps", default=PUBLISHED.steps, show_default=True, help="The most iterations."),
    click.option(
        "--stall", default=PUBLISHED.stall, show_default=True,
        help="End a drag that came no nearer for so many iterations; 0: never.",
    ),
    click.option(
        "--radius-motion", default=PUBLISHED.radius_motion, show_default=True, help="In px of a 512 px image."
    ),
    click.option("--radius-track", default=PUBLISHED.radius_track, show_default=True, help="In px of a 512 px image."),
    click.option("--mask-weight", default=PUBLISHED.mask_weight, show_default=True, help="Weight of the mask's term."),
    click.option(
        "--engine", type=click.Choice(ENGINES),
        help="Features near the handles only, or the whole map, to the same numbers "
        "[default: window without a mask, whole with one].",
    ),
)  # fmt: skip


def with_drag_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; it gets their values as keywords, under the names that `drag_settings` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def drag_settings(chosen: Mapping[str, Any]) -> DragSettings:
    """The settings among the chosen values; `DragSettings.resolved` checks them."""
    return DragSettings(**{field: chosen[name] for name, field in _FIELDS.items()})


def space_options(chosen: Mapping[str, Any]) -> SpaceOptions:
    """The space among the chosen values; `make_space` checks it."""
    return SpaceOptions(
        name=chosen["space"], layers=chosen["layers"], components=chosen["components"], shared=chosen["shared"]
    )
