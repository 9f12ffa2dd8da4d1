"""What a drag has changed by the time the landmark has come a given share of its way, on the pictures.

Drags end at different distances: the tracked handle arrives, the landmark that the picture shows falls short or goes
too far. So SSIM is compared where the landmark, as the predictor reads it, is equally far.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.metrics.preservation import preservation
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from scripts.dragganspace.edits import StudyEdit

LEFT = (0.5, 0.25)
"""Shares of the way that are left where drags are compared."""
FIGURES = tuple(f"ssim_{where}_{left:g}" for left in LEFT for where in ("inside", "outside"))
_PICTURES = 16  # of a drag at most, evenly over its iterations


def distance_figures(
    model: Generator, edits: Sequence[StudyEdit], paths: Sequence[np.ndarray], evaluator: Evaluator
) -> dict[str, np.ndarray]:
    """SSIM to the start, {name: [E]} of `FIGURES`; nan where the landmark never came so near.

    Args:
      model, edits: the subjects.
      paths: [T + 1, L, D] each, the latents at the start and after every iteration.
      evaluator: of the model's species.
    """
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    for edit, path in zip(edits, paths, strict=True):
        chosen = np.rint(np.linspace(0, len(path) - 1, _PICTURES)).astype(int)
        images = np.clip(render_images(model, path[chosen].astype(np.float32)), -1.0, 1.0)
        seen = evaluator.predict(images).landmark([edit.landmark] * _PICTURES)
        way = edit.target_yx - edit.handle_yx
        left = np.linalg.norm(seen - seen[0] - way, axis=1) / np.linalg.norm(way)
        for level in LEFT:
            kept = [preservation(images[0], images[i], edit.region) for i in _around(left, level)]
            for where in ("inside", "outside"):
                pair = [getattr(each, f"ssim_{where}") for each in kept]
                found[f"ssim_{where}_{level:g}"].append(between(left, level, pair) if pair else np.nan)
    return {name: np.array(values) for name, values in found.items()}


def _around(left: np.ndarray, level: float) -> list[int]:
    """The last before and the first at which no more than `level` of the way is left; none if it never is."""
    there = np.flatnonzero(left <= level)
    return [int(there[0]) - 1, int(there[0])] if len(there) else []


def between(left: np.ndarray, level: float, pair: Sequence[float]) -> float:
    """A figure at `level`, linear between its values before and after."""
    before, after = (left[i] for i in _around(left, level))
    share = (before - level) / (before - after)
    return float((1 - share) * pair[0] + share * pair[1])
