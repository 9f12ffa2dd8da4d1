"""Ways to drag the study's edits."""

from __future__ import annotations

import dataclasses
import time
from typing import Literal

import click
import numpy as np

from dragspace_jax.drag import EditRequest, drag_many
from dragspace_jax.drag.recipes import recipe
from dragspace_jax.drag.settings import stop_distance
from dragspace_jax.stylegan2 import Generator
from scripts.dragganspace.edits import StudyEdit

LANES = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solver:
    """A way to drag.

    Attributes:
      name: as the table has it.
      recipe: what the rest defaults to; "": nothing is done.
      may_change: what the edit says of it: nothing, or the true region.
      tolerance: pixels; None: the recipe's.
    """

    name: str
    recipe: str
    may_change: Literal["", "region"] = ""
    tolerance: float | None = None

    def requests(self, model: Generator, edits: list[StudyEdit]) -> list[EditRequest]:
        known = recipe(self.recipe, model)
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
                space=known.space,
                settings=settings,
            )
            for number, edit in enumerate(edits)
        ]


SOLVERS = (
    Solver(name="nothing", recipe=""),
    Solver(name="published", recipe="published"),
    Solver(name="least change", recipe="least-change"),
    Solver(name="least change, published tolerance", recipe="least-change", tolerance=stop_distance(128)),
    Solver(name="published, true region as mask", recipe="published", may_change="region"),
    Solver(name="least change, true region", recipe="least-change", may_change="region"),
)


def dragged(solver: Solver, model: Generator, edits: list[StudyEdit]) -> dict[str, np.ndarray]:
    """ws [E, L, D], iterations, pixels left and seconds an edit of a whole batch, compiled before."""
    if not solver.recipe:
        none = np.zeros(len(edits))
        left = np.array([np.linalg.norm(edit.targets_yx - edit.handles_yx, axis=1).max() for edit in edits])
        return {"ws": np.stack([edit.ws for edit in edits]), "iterations": none, "left": left, "seconds": none}
    requests = solver.requests(model, edits)
    list(drag_many(model, requests[:1], lanes=LANES))  # the basis, the metric and the programs are made once a model
    began = time.perf_counter()
    batch = drag_many(model, requests, lanes=LANES)
    found = sorted(batch, key=lambda result: int(result.id))
    seconds = time.perf_counter() - began - batch.stats.compile_seconds
    for result in found:
        if result.latents is None:
            raise click.ClickException(f"edit {result.id} of {solver.name} is invalid: {result.reason}")
    return {
        "ws": np.stack([result.latents.ws for result in found]),
        "iterations": np.array([result.steps for result in found]),
        "left": np.array([result.distances.max() for result in found]),
        "seconds": np.full(len(found), seconds / len(found)),
    }
