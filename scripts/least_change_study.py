"""Which drag does what was asked: least change beside the published loop, on drags whose true result can be drawn.

    python -m scripts.least_change_study --out out/least-change --count 96
    python -m scripts.least_change_study --out out/least-change --count 384 --half second

Every edit takes a sample of an embedded model, changes one attribute of its world, and drags a landmark to where the
change moves it; the picture of the changed attributes is what the drag should show. The first half of the edits is for
choosing, the second for reporting. Stopped at any moment, the same command goes on: what a solver has done lies in a
file of its own. The table is printed and written to `table.md`, the figures of every edit to `edits.csv`.
"""

from __future__ import annotations

import csv
import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import track

import dragspace_jax as ds
from dragspace_jax.critters import KINDS, render
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.critters.realism import nearest_drawing
from dragspace_jax.drag import EditRequest, drag_many
from dragspace_jax.drag.recipes import recipe
from dragspace_jax.drag.settings import stop_distance
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from scripts.dragganspace.edits import StudyEdit, study_edits

LANES = 32
SEED = {"first": 901, "second": 902}
GROUPS = {
    "mouth": ("lip_bottom by mouth_opening",),
    "left lid": ("eyelid_left_top by eye_opening_left",),
    "right lid": ("eyelid_right_top by eye_opening_right",),
    "left ear": ("ear_left_tip by ear_left_raise",),
    "right ear": ("ear_right_tip by ear_right_raise",),
    "roll": ("head_top by roll",),
    "sideways": ("cheek_left by head_x",),
    "nod": ("nose by pitch",),
    "turn": ("nose by yaw",),
    "pose": ("nose by pose", "chin by pose", "ear_right_tip by pose"),
}
"""Kinds of change; whole poses come last and are left out of the mean of kinds."""


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
                handles_yx=edit.handle_yx[None],
                targets_yx=edit.target_yx[None],
                region=edit.region if self.may_change else None,
                space=known.space,
                settings=settings,
            )
            for number, edit in enumerate(edits)
        ]


SOLVERS = (
    Solver(name="nothing", recipe=""),
    Solver(name="published", recipe="published"),
    Solver(name="paced", recipe="paced"),
    Solver(name="least change", recipe="least-change"),
    Solver(name="least change, published tolerance", recipe="least-change", tolerance=stop_distance(128)),
    Solver(name="published, true region as mask", recipe="published", may_change="region"),
    Solver(name="least change, true region", recipe="least-change", may_change="region"),
)


def dragged(solver: Solver, model: Generator, edits: list[StudyEdit]) -> dict[str, np.ndarray]:
    """ws [E, L, D], iterations, pixels left and seconds an edit of a whole batch, compiled before."""
    if not solver.recipe:
        none = np.zeros(len(edits))
        left = np.array([np.linalg.norm(edit.target_yx - edit.handle_yx) for edit in edits])
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


def scores(
    model: Generator,
    kind: str,
    evaluator: Evaluator,
    edits: list[StudyEdit],
    done: dict[str, np.ndarray],
    *,
    realism: bool,
) -> dict[str, np.ndarray]:
    """Figures of every edit, by name; see `COLUMNS`."""
    images, starts = render_images(model, done["ws"]), render_images(model, np.stack([edit.ws for edit in edits]))
    draw = jax.jit(lambda attributes: render(kind, attributes[None], model.config.resolution).image[0])
    truth = np.stack([np.asarray(draw(jnp.asarray(edit.wanted))) for edit in edits])
    region = np.stack([edit.region for edit in edits])
    seen = evaluator.predict(images).landmark([edit.landmark for edit in edits])
    changed = np.square(images - starts).mean(-1)
    pca = cached_pca(model)
    white = pca.truncated(64).whitened(1.0)

    def distance(ws: np.ndarray) -> np.ndarray:
        moving = jnp.asarray(ws)[:, : white.layers]
        return np.asarray(jax.vmap(lambda each: jnp.sqrt(jnp.mean(jnp.square(white.coordinates(each)))))(moving))

    return {
        "landmark": np.linalg.norm(seen - np.stack([edit.target_yx for edit in edits]), axis=1),
        "error": np.square(images - truth).mean((1, 2, 3)),
        "nothing": np.square(starts - truth).mean((1, 2, 3)),
        "outside": (changed * ~region).sum((1, 2)) / np.maximum((~region).sum((1, 2)), 1),
        "distance": distance(done["ws"]) / distance(np.stack([edit.ws for edit in edits])),
        **({"realism": nearest_drawing(evaluator.predictor, kind, images)[1]} if realism else {}),
        "iterations": done["iterations"],
        "reached": (done["left"] <= stop_distance(model.config.resolution)).astype(float),
        "seconds": done["seconds"],
    }


COLUMNS = {
    "landmark": "true landmark error, px",
    "error": "squared error to the truth",
    "outside": "change outside",
    "distance": "distance from W over the start's",
    "realism": "realism",
    "iterations": "iterations",
    "reached": "arrives within the published tolerance",
    "seconds": "seconds an edit",
}


def over_nothing(figures: dict[str, np.ndarray], names: np.ndarray) -> dict[str, float]:
    """Error to the truth over that of doing nothing, by kind of change."""
    return {
        group: float(figures["error"][chosen].mean() / figures["nothing"][chosen].mean())
        for group, members in GROUPS.items()
        if (chosen := np.isin(names, members)).any()
    }


def interval(values: np.ndarray) -> str:
    """Mean and half of its 95 % interval."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.4g} ± {half:.2g}"


def table(found: dict[str, dict[str, np.ndarray]], names: np.ndarray) -> str:
    """Markdown: figures of every solver, and error over doing nothing by kind of change."""
    columns = [column for column in COLUMNS if column in next(iter(found.values()))]
    lines = ["| solver | " + " | ".join(COLUMNS[column] for column in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, figures in found.items():
        lines.append(f"| {name} | " + " | ".join(interval(figures[column]) for column in columns) + " |")
    groups = list(over_nothing(next(iter(found.values())), names))
    lines += ["", "| error over doing nothing | " + " | ".join(groups) + " | mean without pose |"]
    lines.append("|---" * (len(groups) + 2) + "|")
    for name, figures in found.items():
        by_group = over_nothing(figures, names)
        mean = float(np.mean([value for group, value in by_group.items() if group != "pose"]))
        lines.append(f"| {name} | " + " | ".join(f"{by_group[group]:.2f}" for group in groups) + f" | {mean:.2f} |")
    return "\n".join(lines) + "\n"


def kept(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of a file, made and written if it is not there."""
    if not path.exists():
        arrays: dict[str, Any] = make()
        part = path.with_suffix(".part.npz")
        np.savez(part, **arrays)
        part.rename(path)
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/least-change"), help="Folder to fill.")
@click.option("--count", default=96, help="Edits, half of them of each model.")
@click.option("--half", type=click.Choice(list(SEED)), default="first", help="first: to choose by; second: to report.")
@click.option("--solver", "names", multiple=True, type=click.Choice([s.name for s in SOLVERS]), help="Only these.")
@click.option("--realism/--no-realism", default=True, help="Search the nearest drawings: some two seconds an edit.")
def main(out: Path, count: int, half: str, names: tuple[str, ...], realism: bool) -> None:
    """Drag by every solver and compare the results with the truth."""
    out.mkdir(parents=True, exist_ok=True)
    evaluator = Evaluator.load(*KINDS)
    solvers = [solver for solver in SOLVERS if not names or solver.name in names]
    parts: dict[str, list[dict[str, np.ndarray]]] = {solver.name: [] for solver in solvers}
    changes: list[str] = []
    for kind in KINDS:
        model = ds.load(f"critters-{kind}")
        edits = study_edits(model, kind, count // len(KINDS), first_seed=SEED[half])
        changes += [edit.name for edit in edits]
        for solver in track(solvers, description=kind):
            path = out / f"{half}-{count}-{kind}-{solver.name.replace(' ', '-').replace(',', '')}.npz"
            done = kept(path, partial(dragged, solver, model, edits))
            scored = kept(
                path.with_suffix(".scores.npz" if realism else ".quick.npz"),
                partial(scores, model, kind, evaluator, edits, done, realism=realism),
            )
            parts[solver.name].append(scored)
    found = {name: {key: np.concatenate([p[key] for p in each]) for key in each[0]} for name, each in parts.items()}
    text = table(found, np.array(changes))
    (out / "table.md").write_text(text)
    with (out / "edits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["solver", "edit", *next(iter(found.values()))])
        for name, figures in found.items():
            for row, edit in enumerate(changes):
                writer.writerow([name, edit, *(f"{figures[column][row]:.6g}" for column in figures)])
    click.echo(text)


if __name__ == "__main__":
    main()
