"""Which drag does what was asked: least change beside the published loop, on drags whose true result can be drawn.

    python -m scripts.least_change_study --out out/least-change --count 96
    python -m scripts.least_change_study --out out/least-change --count 384 --half second
    python -m scripts.least_change_study --out out/five-handles --count 96 --half second --handles 5 --no-realism
    python -m scripts.least_change_study --out out/own --model out/my-model --edits edits.jsonl

Every edit takes a sample of an embedded model, changes one attribute of its world, and drags a landmark, or several, to
where the change moves it; the picture of the changed attributes is what the drag should show. The first half of the
edits is for choosing, the second for reporting. Stopped at any moment, the same command goes on: what a solver has done
lies in a file of its own. The table is printed and written to `table.md`, the figures of every edit to `edits.csv`.

Of a model of your own, whose true results nobody knows, the recipes are compared on a file of edits, as `dragspace
batch` takes it, by what needs no truth.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import track

import dragspace_jax as ds
from dragspace_jax.critters import KINDS
from dragspace_jax.critters.channel_tables import channel_table
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.stylegan2 import Latents
from scripts.dragganspace.edits import study_edits
from scripts.least_change.own_model import compared
from scripts.least_change.pictures import rows_of, save_sheet
from scripts.least_change.scores import scores
from scripts.least_change.scores import table as figures_table
from scripts.least_change.solvers import SOLVERS, dragged, latents_of

SEED = {"first": 901, "second": 902}


def kept(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of a file, made and written if it is not there."""
    if not path.exists():
        arrays: dict[str, Any] = make()
        part = path.with_suffix(".part.npz")
        np.savez(part, **arrays)
        part.rename(path)
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def with_truth(
    out: Path,
    count: int,
    half: str,
    handles: int,
    names: tuple[str, ...],
    *,
    realism: bool,
    pictures: int,
    channels: tuple[str, ...] | None,
) -> str:
    """The table of the embedded models' edits; their figures go to `edits.csv`, some of their pictures to a sheet."""
    evaluator = Evaluator.load(*KINDS)
    solvers = [solver for solver in SOLVERS if not names or solver.name in names]
    part = f"{half}-{count}" if handles == 1 else f"{half}-{count}-{handles}-handles"
    parts: dict[str, list[dict[str, np.ndarray]]] = {solver.name: [] for solver in solvers}
    changes: list[str] = []
    rows: list[tuple[str, list[np.ndarray]]] = []
    for place, kind in enumerate(KINDS):
        model = ds.load(f"critters-{kind}")
        table = channel_table(fingerprint(model)) if channels is None else Path(channels[place])
        edits = study_edits(model, kind, count // len(KINDS), first_seed=SEED[half], handles=handles)
        changes += [edit.name for edit in edits]
        moved: dict[str, Latents] = {}
        for solver in track(solvers, description=kind):
            path = out / f"{part}-{kind}-{solver.name.replace(' ', '-').replace(',', '')}.npz"
            done = kept(path, partial(dragged, solver, model, edits, table))
            scored = kept(
                path.with_suffix(".scores.npz" if realism else ".quick.npz"),
                partial(scores, model, kind, evaluator, edits, done, realism=realism),
            )
            parts[solver.name].append(scored)
            if solver.recipe:
                moved[solver.name] = latents_of(done)
        rows += rows_of(model, kind, edits, moved, pictures) if pictures else []
    found = {name: {key: np.concatenate([p[key] for p in each]) for key in each[0]} for name, each in parts.items()}
    text = figures_table(found, np.array(changes))
    with (out / "edits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["solver", "edit", *next(iter(found.values()))])
        for name, figures in found.items():
            for row, edit in enumerate(changes):
                writer.writerow([name, edit, *(f"{figures[column][row]:.6g}" for column in figures)])
    if rows:
        save_sheet(rows, ["start", *(solver.name for solver in solvers if solver.recipe), "truth"], out / "sheet.png")
    return text


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/least-change"), help="Folder to fill.")
@click.option("--count", default=96, help="Edits, half of them of each model.")
@click.option("--half", type=click.Choice(list(SEED)), default="first", help="first: to choose by; second: to report.")
@click.option(
    "--handles",
    default=1,
    type=click.IntRange(1, 12),
    help="Landmarks dragged, those that do not move held where they are.",
)
@click.option("--solver", "names", multiple=True, type=click.Choice([s.name for s in SOLVERS]), help="Only these.")
@click.option("--realism/--no-realism", default=True, help="Search the nearest drawings: some two seconds an edit.")
@click.option("--pictures", default=0, help="Edits of each model, by number, that sheet.png shows.")
@click.option(
    "--channels",
    nargs=len(KINDS),
    type=click.Path(exists=True, dir_okay=False),
    help="channels.csv of dragspace channels, of each embedded model, in place of the tables that come with them.",
)
@click.option("--model", help="A model of your own, with --edits: by every recipe, without a truth.")
@click.option("--edits", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its edits, JSON lines.")
def main(
    out: Path,
    count: int,
    half: str,
    handles: int,
    names: tuple[str, ...],
    realism: bool,
    pictures: int,
    channels: tuple[str, ...] | None,
    model: str | None,
    edits: Path | None,
) -> None:
    """Drag by every solver and compare the results with the truth."""
    out.mkdir(parents=True, exist_ok=True)
    if (model is None) != (edits is None):
        raise click.UsageError("--model and --edits go together")
    if model is not None and edits is not None:
        text = compared(model, edits)
    else:
        text = with_truth(out, count, half, handles, names, realism=realism, pictures=pictures, channels=channels)
    (out / "table.md").write_text(text)
    click.echo(text)


if __name__ == "__main__":
    main()
