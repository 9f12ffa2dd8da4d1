"""How well an alignment holds on pairs it was not fitted on: variance explained, attributes, and edits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

COARSE = (
    "head_x", "head_y", "head_size", "yaw", "pitch", "roll", "head_width",
    "fur_hue", "fur_lightness", "patch", "blaze", "background_hue",
)  # fmt: skip
"""Attributes of the critters that show from afar: where the head is, how it is turned, the colours of large areas.

The others are fine: what a single ear, the eyes, the muzzle and the mouth do. DragGANSpace (arXiv 2509.22169) names
background and fur as coarse.
"""
SAME_WAY = 0.7
"""A landmark with at least this cosine to the other's way, 45 degrees, is said to have moved the same way."""


class Explained(NamedTuple):
    """Shares of held-out variance, at most 1, negative if the mean would have done better.

    Attributes:
      total: over all coordinates together, which is the mean over coordinates weighted by their variance.
      mean: over coordinates, each counting the same.
    """

    total: float
    mean: float


class Transfer(NamedTuple):
    """How a landmark's move in the target compares with its move in the source, over n edits.

    Attributes:
      cosine: mean over edits.
      length: median over edits of the target's length over the source's.
      same_way: share of edits with a cosine of `SAME_WAY` or more.
    """

    edits: int
    cosine: float
    length: float
    same_way: float


def variance_explained(predicted: np.ndarray, wanted: np.ndarray) -> Explained:
    """Coordinates predicted and wanted [m, K], about the mean of those wanted. A constant coordinate counts as 0."""
    left = np.square(wanted - predicted).sum(0)
    whole = np.square(wanted - wanted.mean(0)).sum(0)
    each = 1.0 - np.divide(left, whole, out=np.ones_like(left), where=whole > 0)
    total = 1.0 - left.sum() / whole.sum() if whole.sum() > 0 else 0.0
    return Explained(float(total), float(each.mean()))


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of every column of a and b [m, A] → [A]; 0 where a column does not vary."""
    a, b = (np.asarray(values, np.float64) for values in (a, b))
    a0, b0 = a - a.mean(0), b - b.mean(0)
    both = np.sqrt(np.square(a0).sum(0) * np.square(b0).sum(0))
    return np.divide((a0 * b0).sum(0), both, out=np.zeros(both.shape), where=both > 0)


def coarse_and_fine(named: Mapping[str, float]) -> tuple[float | None, float | None]:
    """Means of {attribute: value} over the coarse attributes and over the fine ones; None where there is none."""
    coarse = [value for name, value in named.items() if name in COARSE]
    fine = [value for name, value in named.items() if name not in COARSE]
    return (float(np.mean(coarse)) if coarse else None, float(np.mean(fine)) if fine else None)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of displacements a and b [n, 2] → [n]; 0 where one of them does not move."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(1), lengths, out=np.zeros(len(a)), where=lengths > 0)


def transfer(source: np.ndarray, target: np.ndarray) -> Transfer:
    """Moves of the same landmark [n, 2] in pixels, in the source, where none is zero, and in the target."""
    source, target = (np.asarray(moves, np.float64) for moves in (source, target))
    cosine = cosines(source, target)
    ratio = np.linalg.norm(target, axis=1) / np.linalg.norm(source, axis=1)
    return Transfer(len(source), float(cosine.mean()), float(np.median(ratio)), float(np.mean(cosine >= SAME_WAY)))
