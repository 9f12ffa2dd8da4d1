"""How to drag: the options that `drag` and `batch` share, and what they mean to a drag and its space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from dragspace_jax.cli.recipes import PUBLISHED, RECIPES, completed
from dragspace_jax.cli.space_options import SPACES, SpaceOptions
from dragspace_jax.drag import DragSettings

NOISES, DTYPES, ENGINES = ("const", "none"), ("float32", "bfloat16"), ("window", "whole")
SOLVERS = ("adam", "adam-norm")

_FIELDS = {
    "feature_block": "feature_block",
    "lr": "learning_rate",
    "half_life": "half_life",
    "slow_down": "slow_down",
    "pace": "pace",
    "solver": "solver",
    "momentum": "momentum",
    "steps": "steps",
    "tolerance": "tolerance",
    "radius_motion": "radius_motion",
    "radius_track": "radius_track",
    "mask_weight": "mask_weight",
    "stall": "stall",
    "engine": "engine",
    "noise": "noise",
    "dtype": "dtype",
}
"""The option's name → the field of `DragSettings`."""

SPACE_NAMES = ("space", "layers", "components", "shared", "basis", "whiten")
SETTING_NAMES = ("recipe", *SPACE_NAMES, *_FIELDS)
"""The options' names."""

_OPTIONS = (
    click.option(
        "--recipe", type=click.Choice(RECIPES), default=RECIPES[0], show_default=True,
        help="What the rest defaults to. paced: PCA coordinates at a steady pace, fast; "
        "published: DragGAN's own loop in W+.",
    ),
    click.option(
        "--space", type=click.Choice(SPACES), help="What moves [default: pca; published: w+; or what --basis is]."
    ),
    click.option("--layers", type=int, help="Layers of W+ that move, from the first [default: 6, or as --basis says]."),
    click.option("--components", type=int, help="Components of the basis [default: 96, or all of a --basis]."),
    click.option(
        "--shared/--no-shared", default=None,
        help="One set of PCA coordinates for all layers, or one a layer [default: one a layer, or as --basis says].",
    ),
    click.option("--basis", metavar="FILE", help="A file of `dragspace fit-pca`, whose basis to move in."),
    click.option(
        "--whiten", type=float,
        help="Measure a basis's coordinates, and so --lr, in standard deviations to this power, 0 to 1: "
        "0 in units of W, 1 in standard deviations [default: 0].",
    ),
    click.option(
        "--feature-block", type=int, help="Block whose features are followed [default: 128, or half the image's side]."
    ),
    click.option("--noise", type=click.Choice(NOISES), default=PUBLISHED.noise, show_default=True),
    click.option("--dtype", type=click.Choice(DTYPES), default=PUBLISHED.dtype, show_default=True),
    click.option(
        "--solver", type=click.Choice(SOLVERS), default=PUBLISHED.solver, show_default=True,
        help="adam: a second moment a coordinate; adam-norm: one for all, which keeps the gradient's direction.",
    ),
    click.option(
        "--lr", type=float,
        help="Learning rate of the solver, in units of the coordinates "
        "[default: 0.005, whitened 0.08, in W+ and W 0.003; published: 0.001].",
    ),
    click.option(
        "--momentum", type=float, help="Of the solver (Adam's beta 1) [default: 0.3; published: 0.9]."
    ),
    click.option(
        "--pace", type=float,
        help="Px of a 512 px image that the farthest handle shall come nearer in an iteration; steps are lengthened or "
        "shortened to keep it; 0: they are not [default: 12; with --half-life or --slow-down, and published: 0].",
    ),
    click.option(
        "--half-life", default=PUBLISHED.half_life, show_default=True,
        help="Iterations in which the learning rate halves; 0: it stays.",
    ),
    click.option(
        "--slow-down", default=PUBLISHED.slow_down, show_default=True,
        help="Distance in px of a 512 px image below which the learning rate falls in proportion; 0: it does not.",
    ),
    click.option("--steps", default=PUBLISHED.steps, show_default=True, help="The most iterations."),
    click.option(
        "--tolerance", type=float,
        help="Distance in px of the image at which a handle has arrived [default: 2, or 1/256 of the image's side].",
    ),
    click.option(
        "--stall", default=PUBLISHED.stall, show_default=True,
        help="End a drag that came no nearer for so many iterations; 0: never.",
    ),
    click.option(
        "--radius-motion", default=PUBLISHED.radius_motion, show_default=True, help="In px of a 512 px image."
    ),
    click.option(
        "--radius-track", default=PUBLISHED.radius_track, show_default=True,
        help="Of the window in which a handle is found again, in px of a 512 px image.",
    ),
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
    filled = completed(chosen)
    return DragSettings(**{field: filled[name] for name, field in _FIELDS.items()})


def space_options(chosen: Mapping[str, Any]) -> SpaceOptions:
    """The space among the chosen values; `make_space` checks it."""
    filled = completed(chosen)
    return SpaceOptions(
        name=filled["space"],
        layers=filled["layers"],
        components=filled["components"],
        shared=filled["shared"],
        basis=filled["basis"],
        whiten=filled["whiten"],
    )
