"""Linear maps between two sets of coordinates, fitted on pairs: `align` carries them over to latents.

All take x [m, K1] and y [m, K2], rows being pairs, in float64, and give an `AffineMap`, y ≈ x @ matrix + offset.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dragspace_jax.errors import DragspaceError

_NOISE = 1e-7  # of the largest deviation: what float32 coordinates that do not vary are left with
_ROUNDING = 1e-13
CANONICAL = 0.5
"""Canonical pairs that are less correlated are left out: their variates share less than a quarter of their variance."""


class AlignmentError(DragspaceError):
    """Pairs, bases or a file that no alignment can be made of; the message names them and the fix."""


class AffineMap(NamedTuple):
    """matrix [K1, K2], offset [K2]; correlations [k] of the canonical pairs used, empty for the other maps."""

    matrix: np.ndarray
    offset: np.ndarray
    correlations: np.ndarray


def _centred(name: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows about their mean, and the mean. Raises AlignmentError unless they span all their coordinates."""
    mean = rows.mean(0)
    centred = rows - mean
    spread = np.linalg.svd(centred, compute_uv=False)
    # The second bound is what the mean's own rounding leaves of rows that are all the same.
    rank = int(np.sum(spread > max(spread[0] * _NOISE, np.linalg.norm(rows) * _ROUNDING)))
    if rank < rows.shape[1]:
        fix = f"take at most {rank} components" if rank else "give pairs that differ"
        raise AlignmentError(
            f"the covariance of the {name} coordinates is degenerate: the pairs vary in {rank} of {rows.shape[1]} "
            f"directions; {fix}"
        )
    return centred, mean


def check_number(pairs: int, coordinates: int) -> None:
    """Raises AlignmentError unless there are more pairs than coordinates."""
    if pairs <= coordinates:
        raise AlignmentError(
            f"{pairs} pairs are too few for {coordinates} coordinates; "
            f"give at least {coordinates + 1}, or fewer components"
        )


def check_pairs(x: np.ndarray, y: np.ndarray) -> None:
    """Raises AlignmentError unless the pairs are finite, as many on both sides, and more than the coordinates."""
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise AlignmentError(f"pairs of shapes {x.shape} and {y.shape}; both must be [m, K] with one row a pair")
    check_number(len(x), max(x.shape[1], y.shape[1]))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise AlignmentError("the pairs hold coordinates that are not finite; are both models whole?")


def procrustes(x: np.ndarray, y: np.ndarray) -> AffineMap:
    """Orthogonal Procrustes (Schönemann 1966) with one scale: y ≈ s · x @ R + offset.

    R has orthonormal rows or columns, as K1 and K2 allow. The scale is fitted too, since the unit of a generator's W is
    arbitrary (its last mapping layer may be scaled if the affine maps undo it); angles are those of a rotation.
    """
    check_pairs(x, y)
    (x0, x_mean), (y0, y_mean) = _centred("source", x), _centred("target", y)
    left, values, right = np.linalg.svd(x0.T @ y0, full_matrices=False)
    rotation = left @ right
    matrix = rotation * (values.sum() / np.sum(np.square(x0 @ rotation)))
    return AffineMap(matrix, y_mean - x_mean @ matrix, np.zeros(0))


def affine(x: np.ndarray, y: np.ndarray) -> AffineMap:
    """Ordinary least squares with a constant, by a pivoted solver (`lstsq`), without a ridge."""
    check_pairs(x, y)
    (x0, x_mean), (y0, y_mean) = _centred("source", x), (y - y.mean(0), y.mean(0))
    matrix, *_ = np.linalg.lstsq(x0, y0, rcond=None)
    return AffineMap(matrix, y_mean - x_mean @ matrix, np.zeros(0))


def cca(x: np.ndarray, y: np.ndarray, pairs: int | None = None) -> AffineMap:
    """The map through canonical variates (Hotelling 1936): x → Σxx^-1/2 U diag(ρ) Vᵀ Σyy^1/2.

    Each variate of y is predicted by its partner of x, so this is least squares of reduced rank; with all pairs it is
    `affine`.

    Args:
      x, y: [m, K1] and [m, K2].
      pairs: canonical pairs to keep; None: those with a correlation of at least `CANONICAL`, and the first.

    Raises:
      AlignmentError: more pairs than coordinates, or as `check_pairs` and a degenerate covariance have it.
    """
    check_pairs(x, y)
    most = min(x.shape[1], y.shape[1])
    if pairs is not None and not 1 <= pairs <= most:
        raise AlignmentError(f"canonical pairs is {pairs}; these coordinates have 1 to {most}")
    (x0, x_mean), (y0, y_mean) = _centred("source", x), _centred("target", y)
    (x_white, _), (y_white, y_colour) = _roots(x0), _roots(y0)
    left, correlations, right = np.linalg.svd(x_white @ (x0.T @ y0 / len(x)) @ y_white, full_matrices=False)
    count = max(1, int(np.sum(correlations >= CANONICAL))) if pairs is None else pairs
    kept = np.clip(correlations[:count], 0.0, 1.0)
    matrix = x_white @ (left[:, :count] * kept) @ right[:count] @ y_colour
    return AffineMap(matrix, y_mean - x_mean @ matrix, kept)


def _roots(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ^-1/2 and Σ^1/2 of rows about their mean [m, K]."""
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    deviation = spread / np.sqrt(len(centred))
    return axes.T @ (axes / deviation[:, None]), axes.T @ (axes * deviation[:, None])
