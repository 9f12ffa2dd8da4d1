"""Pairs of samples of two models that were not drawn together, by their attributes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from dragspace_jax.analysis.maps import AlignmentError

MOST = 10_000
"""Samples a side; the matrix of costs is [m, m] float64, and the matching takes longer than m²."""


class Matched(NamedTuple):
    """rows and columns [m], the pairs; distance [m], of their standardised attributes (root of the mean square)."""

    rows: np.ndarray
    columns: np.ndarray
    distance: np.ndarray


def match(source: np.ndarray, target: np.ndarray) -> Matched:
    """Pair samples one to one so that the squared distances of their attributes sum to the least (Jonker-Volgenant).

    Attributes [m, A] are standardised on each side by itself: what one model has more of than the other is no
    difference between partners.

    Raises:
      AlignmentError: unequal shapes, more than `MOST` samples, or an attribute that does not vary or is not finite.
    """
    if source.ndim != 2 or source.shape != target.shape:
        raise AlignmentError(f"attributes of shapes {source.shape} and {target.shape}; both must be [m, A]")
    if len(source) > MOST:
        raise AlignmentError(f"{len(source)} samples are too many to be matched by attributes; take at most {MOST}")
    cost = cdist(_standardised("source", source), _standardised("target", target), "sqeuclidean")
    rows, columns = linear_sum_assignment(cost)
    return Matched(rows, columns, np.sqrt(cost[rows, columns] / source.shape[1]))


def _standardised(name: str, attributes: np.ndarray) -> np.ndarray:
    values = np.asarray(attributes, np.float64)
    deviation = values.std(0)
    if not (np.isfinite(values).all() and (deviation > 0).all()):
        raise AlignmentError(f"the {name} samples hold an attribute that does not vary or is not finite; draw more")
    return (values - values.mean(0)) / deviation
