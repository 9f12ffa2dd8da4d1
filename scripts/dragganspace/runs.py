"""Running the cells: all that share a program in one batch of lanes; every finished cell is kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress

from dragspace_jax.arrays import write_arrays
from dragspace_jax.drag import DragResult, DragSettings, EditRequest, Outcome, drag_many
from dragspace_jax.errors import DragspaceError
from dragspace_jax.spaces import Displacement, WPlus, fit_displacements
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator
from scripts.dragganspace.cells import Cell, by_program
from scripts.dragganspace.edits import StudyEdit

LANES = 32
TRAINING_RATE = 1e-2  # in full W+, where nearly all drags arrive


def run_cells(
    model: Generator,
    cells: Sequence[Cell],
    edits: Sequence[StudyEdit],
    folder: Path,
    bases: tuple[PCA, Displacement | None],
    progress: Progress,
) -> None:
    """Drag all edits in all cells that have no file in `folder` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [cell for cell in cells if not (folder / f"{cell.key}.npz").exists()]
    task = progress.add_task(f"{folder.name}: drags", total=len({c.key for c in missing}) * len(edits))
    for group in by_program(missing):
        found: dict[str, dict[int, DragResult]] = {cell.key: {} for cell in group}
        for result in drag_many(model, requests(model, group, edits, bases), lanes=LANES):
            key, number = result.id.rsplit("/", 1)
            found[key][int(number)] = result
            progress.update(task, advance=1, description=f"{folder.name}: {key}")
            if len(found[key]) == len(edits):
                _keep(folder / f"{key}.npz", found.pop(key))


def requests(
    model: Generator, cells: Sequence[Cell], edits: Sequence[StudyEdit], bases: tuple[PCA, Displacement | None]
) -> Iterator[EditRequest]:
    """Every edit in every cell, `id` being the cell's key and the edit's number."""
    for cell in cells:
        space, settings = cell.chart(*bases), cell.settings(model.config)
        for number, edit in enumerate(edits):
            yield EditRequest(
                id=f"{cell.key}/{number}",
                latents=edit.ws,
                handles_yx=edit.handle_yx[None],
                targets_yx=edit.target_yx[None],
                space=space,
                settings=settings,
            )


def _keep(path: Path, results: dict[int, DragResult]) -> None:
    ordered = [results[number] for number in range(len(results))]
    if refused := [r.reason for r in ordered if r.outcome == Outcome.INVALID]:
        raise DragspaceError(
            f"{path.stem}: {len(refused)} edits are invalid ({refused[0]}); is the work folder of another model?"
        )
    write_arrays(
        path,
        {
            "outcome": np.array([int(r.outcome) for r in ordered]),
            "steps": np.array([r.steps for r in ordered]),
            "distance": np.array([r.distances.max() for r in ordered]),
            "ws": np.stack([r.ws for r in ordered if r.ws is not None]),
        },
    )


def train_displacements(
    model: Generator, edits: Sequence[StudyEdit], layers: int, fingerprint: str, progress: Progress
) -> Displacement:
    """Principal displacements of drags in full W+, those that arrived; the edits are others than the study's."""
    settings = DragSettings(learning_rate=TRAINING_RATE, steps=100, feature_block=64)  # as they were made first
    requests = (
        EditRequest(
            id=str(number),
            latents=edit.ws,
            handles_yx=edit.handle_yx[None],
            targets_yx=edit.target_yx[None],
            space=WPlus(layers=layers),
            settings=settings,
        )
        for number, edit in enumerate(edits)
    )
    task = progress.add_task("drags for the displacements", total=len(edits))
    starts, ends = [], []
    for result in drag_many(model, requests, lanes=LANES):
        progress.update(task, advance=1)
        if result.outcome == Outcome.REACHED and result.ws is not None:
            starts.append(edits[int(result.id)].ws)
            ends.append(result.ws)
    return fit_displacements(np.stack(starts), np.stack(ends), layers=layers, model=fingerprint)
