"""What became of the edits, measured on the pictures: the true landmark's place, SSIM, PSNR, distance to W."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress

from dragspace_jax.arrays import read_arrays, write_arrays
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.drag import Outcome
from dragspace_jax.metrics.distance import mahalanobis
from dragspace_jax.metrics.preservation import preservation
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from scripts.dragganspace.cells import Cell
from scripts.dragganspace.edits import StudyEdit

FIGURES = (
    "reached", "steps", "landmark", "ssim_inside", "ssim_outside", "psnr_inside", "psnr_outside",
    "mahalanobis",
)  # fmt: skip
"""One number an edit: whether it arrived, iterations, px of the true landmark to the target,
SSIM and PSNR in dB to the start, and the Mahalanobis distance of the moving layers (samples of W: about 1)."""
FOLDER = "figures"
"""Beside the cells of a model."""
_FORMER_FOLDER = "judged"  # the same figures, in work folders of before


def figures_file(folder: Path, cell: Cell) -> Path:
    """Where a cell's figures are, or where they shall be if there are none."""
    former = folder / _FORMER_FOLDER / f"{cell.key}.npz"
    return former if former.exists() else folder / FOLDER / f"{cell.key}.npz"


class CellFigures:
    """Figures of the cells of one model.

    Args:
      model: the generator.
      edits: those that every cell ran.
      pca: of its W, all components.
      evaluator: of the model's species.
    """

    def __init__(self, model: Generator, edits: Sequence[StudyEdit], pca: PCA, evaluator: Evaluator):
        self._model, self._edits, self._pca, self._evaluator = model, edits, pca, evaluator
        self._before = render_images(model, np.stack([edit.ws for edit in edits]))
        self._started = self._landmarks(self._before)

    def _landmarks(self, images: np.ndarray) -> np.ndarray:
        """[E, 2], each edit's landmark as predicted."""
        predictions = self._evaluator.predict(np.clip(images, -1.0, 1.0))
        return predictions.landmark([edit.landmark for edit in self._edits])

    def of(self, cell: Cell, results: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """{name: [E]} of `FIGURES`; results as `runs` keeps them."""
        after = render_images(self._model, results["ws"])
        ends = self._landmarks(after)
        # How far the landmark went, both ends by the same predictor, whose bias then cancels.
        handles, targets = (np.stack([getattr(e, name) for e in self._edits]) for name in ("handle_yx", "target_yx"))
        missed = np.linalg.norm(handles + (ends - self._started) - targets, axis=1)
        kept = [
            dataclasses.asdict(preservation(b, a, e.region))
            for b, a, e in zip(self._before, after, self._edits, strict=True)
        ]
        pca = self._pca
        far = mahalanobis(
            results["ws"][:, : cell.layers], *(np.asarray(x) for x in (pca.mean, pca.components, pca.variance))
        )
        return {
            "reached": (results["outcome"] == Outcome.REACHED).astype(np.float64),
            "steps": results["steps"].astype(np.float64),
            "landmark": missed,
            **{name: np.array([each[name] for each in kept]) for name in kept[0]},
            "mahalanobis": far,
        }


def evaluate_cells(figures: CellFigures, cells: Sequence[Cell], folder: Path, progress: Progress) -> None:
    """Keep the figures of all cells that have run and have none yet, in `folder`/figures."""
    (folder / FOLDER).mkdir(exist_ok=True)
    unique = {cell.key: cell for cell in cells}
    waiting = [c for k, c in unique.items() if (folder / f"{k}.npz").exists() and not figures_file(folder, c).exists()]
    for cell in progress.track(waiting, description=f"{folder.name}: evaluating"):
        write_arrays(figures_file(folder, cell), figures.of(cell, read_arrays(folder / f"{cell.key}.npz")))
