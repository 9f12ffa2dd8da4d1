"""Ways to drag the study's edits."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import click
import numpy as np

from dragspace_jax.analysis.styles import channel_space
from dragspace_jax.drag import EditRequest, drag_many
from dragspace_jax.drag.recipes import recipe
from dragspace_jax.drag.settings import stop_distance
from dragspace_jax.spaces import RegionSpace, Space
from dragspace_jax.spaces.chosen_channels import chosen_channels
from dragspace_jax.stylegan2 import Generator, Latents
from scripts.dragganspace.edits import StudyEdit

LANES = 32
PARTS = {
    "by mouth_opening": "mouth",
    "by eye_opening_left": "eye",
    "by eye_opening_right": "eye",
    "by ear_left_raise": "ear",
    "by ear_right_raise": "ear",
}
"""{what an edit's name ends with: regions of channels.csv}, of edits that move a part of the head."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solver:
    """A way to drag.

    Attributes:
      name: as the table has it.
      recipe: what the rest defaults to; "": nothing is done.
      may_change: what the edit says of it: nothing, or the true region.
      tolerance: pixels; None: the recipe's.
      space: the recipe's; or the style channels that act on the part that is dragged, where that is a part of a head
        and not all of it; or the low-rank space of the true region.
    """

    name: str
    recipe: str
    may_change: Literal["", "region"] = ""
    tolerance: float | None = None
    space: Literal["", "channels", "low-rank"] = ""

    def requests(self, model: Generator, edits: list[StudyEdit], table: Path | None = None) -> list[EditRequest]:
        """The edits' requests; `table` is the model's of `dragspace channels`."""
        known = recipe(self.recipe, model)
        spaces: dict[str, Space] = {}
        if self.space == "channels":
            parts = dict.fromkeys(each for each in map(_part, edits) if each)
            spaces = {part: channel_space(model, chosen_channels(part, table)) for part in parts}
        lowrank = RegionSpace(whiten=1.0 if self.recipe == "least-change" else 0.0)
        settings = known.settings
        if self.recipe == "published":
            settings = dataclasses.replace(settings, learning_rate=2e-3, steps=150)
        if self.tolerance is not None:
            settings = dataclasses.replace(settings, tolerance=self.tolerance)
        return [
            EditRequest(
                id=str(number),
                latents=edit.ws,
                handles_yx=edit.handles_yx,
                targets_yx=edit.targets_yx,
                region=edit.region if self.may_change else None,
                space=lowrank if self.space == "low-rank" else spaces.get(_part(edit) or "", known.space),
                settings=settings,
            )
            for number, edit in enumerate(edits)
        ]


SOLVERS = (
    Solver(name="nothing", recipe=""),
    Solver(name="published", recipe="published"),
    Solver(name="least change", recipe="least-change"),
    Solver(name="least change, published tolerance", recipe="least-change", tolerance=stop_distance(128)),
    Solver(name="least change, channels of the part", recipe="least-change", space="channels"),
    Solver(name="published, true region as mask", recipe="published", may_change="region"),
    Solver(name="least change, true region", recipe="least-change", may_change="region"),
    Solver(name="published, low-rank space", recipe="published", may_change="region", space="low-rank"),
    Solver(name="least change, low-rank space", recipe="least-change", may_change="region", space="low-rank"),
)


def _part(edit: StudyEdit) -> str | None:
    """The regions of channels.csv that an edit's landmark belongs to; None if all of the head moves."""
    parts = (part for change, part in PARTS.items() if edit.name.endswith(change))
    return next(parts, None)


def latents_of(done: Mapping[str, np.ndarray]) -> Latents:
    """The results of `dragged`: ws [E, L, D] and offsets [E, C]."""
    return Latents.of_arrays(done)


def _stacked(found: list[Latents], widths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """As `latents_of` takes it; where an edit has no offsets of a convolution that another has, there are zeros."""
    names = sorted({name for each in found for name in each.offsets})
    offsets = {
        name: np.stack([each.offsets.get(name, np.zeros(widths[name], np.float32)) for each in found]) for name in names
    }
    return Latents(ws=np.stack([each.ws for each in found]), offsets=offsets).arrays()


def dragged(
    solver: Solver, model: Generator, edits: list[StudyEdit], table: Path | None = None
) -> dict[str, np.ndarray]:
    """ws [E, L, D], offsets, iterations, pixels left and seconds an edit of a whole batch, compiled before."""
    if not solver.recipe:
        none = np.zeros(len(edits))
        left = np.array([np.linalg.norm(edit.targets_yx - edit.handles_yx, axis=1).max() for edit in edits])
        return {"ws": np.stack([edit.ws for edit in edits]), "iterations": none, "left": left, "seconds": none}
    requests = solver.requests(model, edits, table)
    list(drag_many(model, requests[:1], lanes=LANES))  # the basis, the metric and the programs are made once a model
    began = time.perf_counter()
    batch = drag_many(model, requests, lanes=LANES)
    found = sorted(batch, key=lambda result: int(result.id))
    seconds = time.perf_counter() - began - batch.stats.compile_seconds
    for result in found:
        if result.latents is None:
            raise click.ClickException(f"edit {result.id} of {solver.name} is invalid: {result.reason}")
    return {
        **_stacked(
            [result.latents for result in found if result.latents is not None], model.synthesis.style_channels()
        ),
        "iterations": np.array([result.steps for result in found]),
        "left": np.array([result.distances.max() for result in found]),
        "seconds": np.full(len(found), seconds / len(found)),
    }
