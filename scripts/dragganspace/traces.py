"""Drags that are looked at in every iteration: run, measured, and only their figures kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress

from dragspace_jax.arrays import read_arrays, write_arrays
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.drag import DragResult, drag_many
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator
from scripts.dragganspace import equal_distance, noise
from scripts.dragganspace.cells import Cell
from scripts.dragganspace.edits import StudyEdit
from scripts.dragganspace.equal_distance import distance_figures
from scripts.dragganspace.noise import Noise
from scripts.dragganspace.runs import LANES, requests
from scripts.dragganspace.tables import Row

FIGURES = (*noise.FIGURES, *equal_distance.FIGURES)
FOLDER = "traces"
"""Beside the cells of a model."""


def trace_cells(
    model: Generator,
    cells: Sequence[Cell],
    edits: Sequence[StudyEdit],
    folder: Path,
    pca: PCA,
    evaluator: Evaluator,
    progress: Progress,
) -> None:
    """Keep the figures of the cells' drags that are not in `folder`/traces yet."""
    missing = [cell for cell in cells if not _file(folder, cell).exists()]
    for cell in progress.track(missing, description=f"{folder.name}: traces"):
        batch = drag_many(model, requests(model, [cell], edits, (pca, None)), lanes=LANES, trace=True)
        results = sorted(batch, key=lambda result: int(result.id.rsplit("/", 1)[1]))
        paths = [path_of(result) for result in results]
        gradients = Noise.of(model, cell.settings(model.config))
        figures = gradients.figures(results, paths, cell.chart(pca, None))
        write_arrays(_file(folder, cell), figures | distance_figures(model, edits, paths, evaluator))


def path_of(result: DragResult) -> np.ndarray:
    """[T + 1, L, D], the latents at the start and after every iteration."""
    return np.concatenate([result.start.ws[None], result.traced_latents().ws])


def read_traces(cells: Iterable[Cell], folders: Sequence[Path]) -> list[Row]:
    """The cells that are traced for all models."""
    rows = []
    for cell in cells:
        files = [_file(folder, cell) for folder in folders]
        if all(file.exists() for file in files):
            parts = [read_arrays(file) for file in files]
            rows.append(Row(cell, {name: np.concatenate([part[name] for part in parts]) for name in FIGURES}))
    return rows


def _file(folder: Path, cell: Cell) -> Path:
    return folder / FOLDER / f"{cell.key}.npz"
