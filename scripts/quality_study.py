"""Whether a verdict can be believed: bad edits flagged and good ones not, by thresholds chosen on other edits.

    python -m scripts.quality_study --out out/quality --count 96
    python -m scripts.quality_study --out out/quality --count 192 --no-realism --docs docs

Drags of `scripts.least_change_study` by all its solvers, whose true result is known. An edit is bad if its landmark
ends more than 3 px from where it should be (of a 128 px image), if its picture is farther from the true one than the
start's (whole poses left out, which no drag of one handle can know), or if it is less like a drawing than 1.5 times the
start's. Thresholds are chosen on the first half of the edits, and what they flag is told on the second. Stopped at any
moment, the same command goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from rich.progress import track

import dragspace_jax as ds
from dragspace_jax.critters import KINDS
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.critters.realism import nearest_drawing
from dragspace_jax.drag import drag_many
from dragspace_jax.drag.measure import measure
from dragspace_jax.drag.quality import THRESHOLDS, Thresholds, excess, flagged, stacked
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from scripts.dragganspace.edits import StudyEdit, study_edits
from scripts.least_change.scores import GROUPS, scores
from scripts.least_change.solvers import LANES, SOLVERS, Solver
from scripts.least_change_study import SEED, kept

MISSED = 3.0  # px of a 128 px image
UNREAL = 1.5  # times the start's
_CHOSEN = ("residual", "back", "distance", "change_outside", "change_kept")
_ALL = [solver for solver in SOLVERS if solver.recipe and solver.tolerance is None]
_LEVELS = np.linspace(0.3, 1.0, 36)
"""Quantiles of a figure among good edits that a threshold may be."""
Arrays = dict[str, np.ndarray]


def starts_realism(model: Generator, kind: str, edits: list[StudyEdit]) -> Arrays:
    """Of every edit the realism of the picture it starts from."""
    starts = render_images(model, np.stack([edit.ws for edit in edits]))
    return {"start_realism": nearest_drawing(Evaluator.load(*KINDS).predictor, kind, starts)[1]}


def judged(solver: Solver, model: Generator, kind: str, edits: list[StudyEdit], *, realism: bool) -> Arrays:
    """Of every edit the figures of its quality, by name with `quality/` before it, and how far it is from the truth."""
    batch = drag_many(model, solver.requests(model, edits), lanes=LANES)
    results = sorted(batch, key=lambda result: int(result.id))
    ws = np.stack([result.latents.ws for result in results if result.latents is not None])
    done = {
        "ws": ws,
        "iterations": np.array([result.steps for result in results]),
        "left": np.array([result.distances.max() for result in results]),
        "seconds": np.zeros(len(results)),
    }
    truth = scores(model, kind, Evaluator.load(*KINDS), edits, done, realism=realism)
    return truth | {f"quality/{name}": values for name, values in stacked(measure(results)).items()}


def is_bad(found: Arrays, names: Sequence[str]) -> np.ndarray:
    """Which edits are bad: bool [E]."""
    pose = np.isin(names, GROUPS["pose"])
    bad = (found["landmark"] > MISSED) | ((found["error"] > found["nothing"]) & ~pose)
    if "realism" in found:
        bad |= found["realism"] > UNREAL * found["start_realism"]
    return bad


def figures_of(found: Arrays) -> Arrays:
    """What verdicts are made of."""
    return {name.removeprefix("quality/"): values for name, values in found.items() if name.startswith("quality/")}


def chosen_thresholds(figures: Arrays, bad: np.ndarray, *, most: float) -> Thresholds:
    """The thresholds, found one after the other, that flag most of the bad and at most a share `most` of the good."""
    best = Thresholds(**dict.fromkeys(_CHOSEN, np.inf))

    def worth(thresholds: Thresholds) -> tuple[bool, float]:
        said = flagged(figures, thresholds)
        good = float(said[~bad].mean())
        return good <= most, float(said[bad].mean()) - good

    for _ in range(4):
        for name in _CHOSEN:
            known = figures[name][~bad & np.isfinite(figures[name])]
            levels = np.unique([np.inf, *(np.quantile(known, _LEVELS) if len(known) else [])])
            best = max((dataclasses.replace(best, **{name: float(level)}) for level in levels), key=worth)
    return best


def told(figures: Arrays, bad: np.ndarray, thresholds: Thresholds) -> dict[str, float]:
    """Of bad and good edits the shares flagged, and of the flagged the share that is bad."""
    said = flagged(figures, thresholds)
    return {
        "edits": float(len(bad)),
        "bad": float(bad.sum()),
        "bad flagged": float(said[bad].mean()),
        "good flagged": float(said[~bad].mean()),
        "precision": float(bad[said].mean()) if said.any() else np.nan,
    }


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    columns = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, values in rows.items():
        shown = [f"{v:.0f}" if c in ("edits", "bad") else f"{100 * v:.0f} %" for c, v in values.items()]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def plot(figures: Arrays, bad: np.ndarray, thresholds: Thresholds, path: Path) -> None:
    """Bad edits flagged against good ones flagged, as all thresholds are made larger or smaller together."""
    severity = np.max(np.stack(list(excess(figures, thresholds).values())), 0)
    levels = np.sort(np.unique(severity))[::-1]
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes: Any = figure.subplots()
    axes.plot([100 * (severity[~bad] > x).mean() for x in levels], [100 * (severity[bad] > x).mean() for x in levels])
    known = told(figures, bad, thresholds)
    axes.plot(100 * known["good flagged"], 100 * known["bad flagged"], "o", color="#d1495b", label="as verdicts are")
    axes.set(xlabel="good edits flagged, %", ylabel="bad edits flagged, %", xlim=(0, 100), ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/quality"), help="Folder to fill.")
@click.option("--count", default=96, help="Edits of a half and a solver, half of them of each model.")
@click.option("--solver", "names", multiple=True, type=click.Choice([s.name for s in _ALL]), help="Only these.")
@click.option("--realism/--no-realism", default=True, help="Search the nearest drawings: some two seconds an edit.")
@click.option("--most", default=0.17, help="Share of good edits that may be flagged where thresholds are chosen.")
@click.option("--docs", type=click.Path(path_type=Path), help="Folder for the curve, quality.png.")
def main(out: Path, count: int, names: tuple[str, ...], realism: bool, most: float, docs: Path | None) -> None:
    """Choose the thresholds of verdicts on one half of the edits, and tell on the other what they flag."""
    out.mkdir(parents=True, exist_ok=True)
    solvers = [solver for solver in _ALL if not names or solver.name in names]
    found: dict[str, dict[str, Arrays]] = {half: {} for half in SEED}
    bad: dict[str, dict[str, np.ndarray]] = {half: {} for half in SEED}
    for half, seed in SEED.items():
        for kind in KINDS:
            model = ds.load(f"critters-{kind}")
            edits = study_edits(model, kind, count // len(KINDS), first_seed=seed)
            starts: Arrays = {}
            if realism:
                starts = kept(out / f"{half}-{count}-{kind}.npz", partial(starts_realism, model, kind, edits))
            for solver in track(solvers, description=f"{half}, {kind}"):
                name = f"{half}-{count}-{kind}-{solver.name.replace(' ', '-').replace(',', '')}"
                path = out / f"{name}{'' if realism else '.quick'}.npz"
                arrays = kept(path, partial(judged, solver, model, kind, edits, realism=realism)) | starts
                before = found[half].get(solver.name)
                joined = arrays if before is None else {k: np.concatenate([before[k], arrays[k]]) for k in arrays}
                now = is_bad(arrays, [edit.name for edit in edits])
                known = bad[half].get(solver.name)
                found[half][solver.name] = joined
                bad[half][solver.name] = now if known is None else np.concatenate([known, now])
    whole = {
        half: {k: np.concatenate([each[k] for each in found[half].values()]) for k in next(iter(found[half].values()))}
        for half in SEED
    }
    answers = {half: np.concatenate(list(bad[half].values())) for half in SEED}
    chosen = chosen_thresholds(figures_of(whole["first"]), answers["first"], most=most)
    shown = ", ".join(f"{name} {getattr(chosen, name):.4g}" for name in _CHOSEN)
    click.echo(f"thresholds chosen on the first half: {shown}\n")
    rows = {"first half, chosen": told(figures_of(whole["first"]), answers["first"], chosen)}
    for name, thresholds in (("chosen", chosen), ("as they are", THRESHOLDS)):
        rows[f"second half, {name}"] = told(figures_of(whole["second"]), answers["second"], thresholds)
    for name, each in found["second"].items():
        rows[f"{name}, as they are"] = told(figures_of(each), bad["second"][name], THRESHOLDS)
    text = table(rows)
    (out / "table.md").write_text(text + "\n")
    click.echo(text)
    if docs is not None:
        plot(figures_of(whole["second"]), answers["second"], THRESHOLDS, docs / "quality.png")


if __name__ == "__main__":
    main()
