"""Writes docs/settings.md: how to drag, as the options of the commands and the keys of edits files have it.

Everything in it comes from what the code checks by (`drag.settings.SETTINGS`, `spaces.options.SPACE_OPTIONS`); a test
compares the page with what this would write.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dragspace_jax.critters.renderer import SEGMENTS
from dragspace_jax.critters.segments import GROUPS
from dragspace_jax.drag.recipes import DEFAULT_RECIPE, RECIPES, SETTING_KEYS, default_in_words
from dragspace_jax.drag.settings import SETTINGS
from dragspace_jax.spaces.option_fields import SPACE_OPTIONS, SpaceOption

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
_HEAD = """# How to drag

The options of `dragspace drag` and `dragspace batch` are `--` and the name here, with `-` for `_`; in a line of an
edits file and in `ds.batch.run` the name is the key. What nobody says, the recipe says: `least-change` (the default)
or `published`, DragGAN's own loop. Written by `scripts/settings_page.py`.

"""
_LINE = """
## A line of an edits file

A JSON object, with one of `seed` or `latents`, with `handles` and `targets`, and with whatever of the above it wants to
have otherwise than the command.

| key | value |
|---|---|
| `id` | a text; names the result. A line without one is called by its number, and an id that stands twice is an error |
| `seed` | a whole number: the image of `numpy.random.RandomState(seed)`, as in the published tools |
| `latents` | a file instead: .npy, or .npz with `ws`, [L, D] or [1, L, D]; relative to the edits file, as all files |
| `psi` | truncation of the seed's latent; 1 is none |
| `label` | class of the seed's image, for a model with classes |
| `handles`, `targets` | `[[x, y], …]` in pixels of the image, a target for each handle |
| `points` | instead, as FreeDragBench has it: `{"handle": [[row, column], …], "target": …}` of a 512 px image |
| `mask` | a picture of the image's size: white stays |
| `invert_mask` | `true`: black stays |
| `region` | instead of a mask: a box `[x, y, width, height]` in pixels, or a picture of its size: white may change |
| `segment` | likewise, what may change by its name: a text with commas, or a list |
| `segments` | a label map for `segment`, which then holds ids: a picture of the image's size with a number a pixel |

## What may change

`--region` and `--segment` of `dragspace drag`, the keys of these names, and `region=` of `ds.EditRequest` and
`ds.drag_one` (an array [H, W], as `ds.box_region` and `ds.segment_region` make them) name what may change; together
they add up. A region grows by 1/32 of the image's side, and along every handle's way to its target: the connected part
that the handle is on, or nearest to, is carried along with what of the way lies beyond it, since a closed mouth's
segment lacks where the mouth will open. What is left is the mask of DragGAN's loss. `--mask` says itself, to the pixel,
what must stay, and so cannot be given with them.

On the embedded models segments are seen on the image where the edit starts: """
_KINDS = {
    "whole": "a whole number from 1",
    "number": "a number from 0 to 1",
    "flag": "yes or no",
    "file": "a file",
    "text": "text",
}


def page() -> str:
    """The page's text."""
    space = [(key, option.help, _range(option), option.default) for key, option in SPACE_OPTIONS.items()]
    drag = []
    for key, field in SETTING_KEYS.items():
        setting = SETTINGS[field]
        unit = f" In {setting.unit}." if setting.unit else ""
        drag.append((key, f"{setting.help}{unit}", setting.range, default_in_words(field)))
    name, about = "| name | what it is | values | default |", "|---|---|---|---|"
    recipe = ("recipe", "What the rest defaults to.", " or ".join(RECIPES), DEFAULT_RECIPE)
    where = "\n".join([name, about, *map(_row, [recipe, *space])])
    how = "\n".join([name, about, *map(_row, drag)])
    return f"{_HEAD}## Where a drag moves\n\n{where}\n\n## How it moves\n\n{how}\n{_LINE}{_segments()}"


def _segments() -> str:
    groups = "; ".join(f"`{group}` is {_listed(parts)}" for group, parts in GROUPS.items())
    return (
        f"{_listed(SEGMENTS)}.\nOf the groups, {groups}.\nLeft and right are the picture's. "
        "For other models `--segments FILE` gives a label map, whose ids `--segment 3,5` names.\n"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(cells: tuple[str, str, str, str]) -> str:
    key, *rest = cells
    return " | ".join([f"| `{key}`", *rest]) + " |"


def _range(option: SpaceOption) -> str:
    return " or ".join(option.choices) if option.choices else _KINDS[option.kind]


if __name__ == "__main__":
    PAGE.write_text(page())
