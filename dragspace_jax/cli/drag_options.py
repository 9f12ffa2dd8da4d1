"""How to drag: the options that `drag` and `batch` share, made of what the settings and spaces say of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dragspace_jax.drag.recipes import RECIPES, SETTING_KEYS, default_in_words
from dragspace_jax.drag.settings import SETTINGS, Setting
from dragspace_jax.spaces.option_fields import SPACE_OPTIONS, SpaceOption


def with_drag_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; it gets their values as keywords, under the keys of lines, None if not given."""
    for option in reversed(_options()):
        command = option(command)
    return command


def _options() -> list[Callable[..., Any]]:
    recipe = click.option(
        "--recipe",
        type=click.Choice(RECIPES),
        default=RECIPES[0],
        show_default=True,
        help="What the rest defaults to. least-change: the change that alters least of the picture, which knows no "
        "learning rate, momentum, motion radius or mask weight; published: DragGAN's own loop in W+.",
    )
    spaces = [_space_option(key, option) for key, option in SPACE_OPTIONS.items()]
    return [recipe, *spaces, *(_setting_option(key, SETTINGS[field]) for key, field in SETTING_KEYS.items())]


def _space_option(key: str, option: SpaceOption) -> Callable[..., Any]:
    types: dict[str, Any] = {"whole": int, "number": float, "file": str, "text": str}
    types["choice"] = click.Choice(option.choices)
    flag = f"--{key.replace('_', '-')}"
    names = f"{flag}/--no-{flag[2:]}" if option.kind == "flag" else flag
    about = {} if option.kind == "flag" else {"type": types[option.kind]}
    metavar = {"file": "FILE", "text": "TEXT"}.get(option.kind)
    return click.option(
        names, default=None, metavar=metavar, help=f"{option.help} [default: {option.default}]", **about
    )


def _setting_option(key: str, setting: Setting) -> Callable[..., Any]:
    type_: Any = click.Choice(setting.choices) if setting.choices else int if setting.whole else float
    unit = f" In {setting.unit}." if setting.unit else ""
    default = default_in_words(SETTING_KEYS[key])
    return click.option(
        f"--{key.replace('_', '-')}", type=type_, default=None, help=f"{setting.help}{unit} [default: {default}]"
    )
