"""Low-rank subspaces of an image's region: directions that change the region and leave the rest alone.

From two Gram matrices of Jacobians, of the region and of the rest, either by robust PCA, principal and null spaces
(LowRankGAN, arXiv 2106.04488, sections 3.2 and 3.3), or in closed form, as generalised eigenvectors (ReSeFa, arXiv
2202.09649), which needs no rank.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.linalg
from jaxtyping import Float, Float64

from dragspace_jax.analysis.rpca import ITERATIONS, FactorError, Factors, robust_pca

Solver = Literal["closed", "rpca"]
SOLVERS: tuple[Solver, ...] = ("closed", "rpca")
RIDGE = 1e-3
"""Of the trace of the rest's matrix, on its diagonal: what no pixel of the rest sees is not free without end."""
SHARE = 1e-3
"""Of the greatest eigenvalue: what is less is counted as null, where no robust PCA finds the rank."""
REST_WEIGHT = 100.0
"""Of a change outside against one inside, per pixel of each, where a direction is kept within a region."""
DIRECTIONS = 8
"""Of a region in closed form, if nobody says."""
_NOTHING = 1e-8  # of a direction's length left by a projection: rounding


class Outcome(enum.Enum):
    """What came of a region's subspace."""

    FOUND = "found"
    NOT_CONVERGED = "not converged"
    NOTHING_TO_PROJECT = "nothing to project"
    COLLAPSED = "collapsed"
    LOST = "nothing of its own"
    RANK_ZERO = "rank zero"

    @property
    def advice(self) -> str:
        """What it means, and what to change; empty where all is well."""
        return _ADVICE[self]


_ADVICE = {
    Outcome.FOUND: "",
    Outcome.NOT_CONVERGED: "robust PCA came to its limit of iterations; the directions may be used, and more "
    "iterations, a larger lambda or the closed form make them exact",
    Outcome.NOTHING_TO_PROJECT: "the rest has rank 0 after robust PCA, so there is nothing to project away from; take "
    "a smaller region, or a larger lambda",
    Outcome.COLLAPSED: "the rest's null space has one vector, so all directions are the same; raise relax, or "
    "take the closed form",
    Outcome.LOST: "all that changes the region changes the rest as well, so nothing is left of its directions; raise "
    "relax, or take the closed form",
    Outcome.RANK_ZERO: "the region has rank 0 after robust PCA, so it has no directions; take a larger region, a "
    "larger lambda, or the closed form",
}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subspace:
    """Directions of one region. K may be 0 (`outcome` is then RANK_ZERO or LOST).

    Attributes:
      directions: [K, D] of unit length, the strongest first; not orthogonal to each other.
      principal: [K, D], orthonormal, of the region alone, not projected.
      null_rest: [M, D], orthonormal, what leaves the rest alone.
      null_region: [N, D], orthonormal, what leaves the region alone.
      singular_values: [D] of the region's matrix (its low-rank part), falling.
      rank_region, rank_rest: of the matrices; in closed form by `SHARE` of their spectrum.
      outcome: what came of it.
    """

    directions: Float64[np.ndarray, "K D"]
    principal: Float64[np.ndarray, "K D"]
    null_rest: Float64[np.ndarray, "M D"]
    null_region: Float64[np.ndarray, "N D"]
    singular_values: Float64[np.ndarray, " D"]
    rank_region: int
    rank_rest: int
    outcome: Outcome


def subspaces(
    grams: Sequence[tuple[Float[np.ndarray, "D D"], Float[np.ndarray, "D D"]]],
    *,
    solver: Solver = "closed",
    directions: int | None = None,
    relax: int = 0,
    weight: float | None = None,
    iterations: int = ITERATIONS,
    ridge: float = RIDGE,
) -> list[Subspace]:
    """The subspaces of pairs of Gram matrices.

    Args:
      grams: pairs of the region's and the rest's matrix.
      solver: `closed`, or `rpca` as published.
      directions: K at most; None: `DIRECTIONS` in closed form, as many as the region's rank by robust PCA.
      relax: so many of the rest's weakest directions are let go (`rpca`): the null space begins earlier.
      weight: λ of robust PCA; None: `rpca.default_weight`.
      iterations: of robust PCA, at most.
      ridge: share of the trace of the rest's matrix on its diagonal (`closed`).

    Raises:
      FactorError: matrices or settings that make no sense.
    """
    if relax < 0 or (directions is not None and directions < 1) or not ridge > 0:
        raise FactorError(f"relax {relax}, directions {directions}, ridge {ridge}: out of range")
    if solver == "closed":
        return [_closed(*_checked(pair), directions or DIRECTIONS, ridge) for pair in grams]
    flat = np.stack([matrix for pair in grams for matrix in _checked(pair)])
    factors = robust_pca(flat, weight=weight, iterations=iterations)
    return [_published(factors, 2 * index, directions, relax) for index in range(len(grams))]


def _checked(
    pair: tuple[Float[np.ndarray, "D D"], Float[np.ndarray, "D D"]],
) -> tuple[Float64[np.ndarray, "D D"], Float64[np.ndarray, "D D"]]:
    region, rest = (np.asarray(matrix, np.float64) for matrix in pair)
    if not (np.isfinite(region).all() and np.isfinite(rest).all()):
        raise FactorError("a Gram matrix holds numbers that are not finite")
    return region, rest


def _published(factors: Factors, index: int, directions: int | None, relax: int) -> Subspace:
    """By robust PCA: the matrix at `index` is the region's, the next one the rest's."""
    region, rest = factors.low_rank[index], factors.low_rank[index + 1]
    values, axes = _axes(region)
    rest_axes = _axes(rest)[1]
    rank_region, rank_rest = (int(np.linalg.matrix_rank(matrix, hermitian=True)) for matrix in (region, rest))
    principal = axes[: rank_region if directions is None else min(rank_region, directions)]
    null_rest = rest_axes[_first_null(rank_rest, relax, len(rest)) :]
    outcome = Outcome.FOUND if factors.converged[index : index + 2].all() else Outcome.NOT_CONVERGED
    projected = principal @ null_rest.T @ null_rest
    projected = _unit(projected[np.linalg.norm(projected, axis=1) > _NOTHING])
    if rank_region == 0:
        outcome = Outcome.RANK_ZERO
    elif rank_rest == 0:
        outcome, projected = Outcome.NOTHING_TO_PROJECT, principal
    elif not len(projected):
        outcome = Outcome.LOST
    elif len(null_rest) == 1 and len(principal) > 1:
        outcome = Outcome.COLLAPSED
    return Subspace(
        directions=projected,
        principal=principal,
        null_rest=null_rest,
        null_region=axes[_first_null(rank_region, 0, len(region)) :],
        singular_values=np.abs(values),
        rank_region=rank_region,
        rank_rest=rank_rest,
        outcome=outcome,
    )


def _closed(
    region: Float64[np.ndarray, "D D"], rest: Float64[np.ndarray, "D D"], directions: int, ridge: float
) -> Subspace:
    """Generalised eigenvectors of the region's matrix against the rest's, whose trace is in part on its diagonal."""
    width = len(region)
    count = min(directions, width)
    values, axes = _axes(region)
    rest_values, rest_axes = _axes(rest)
    ranks = [int(np.sum(found > SHARE * found[0])) for found in (values, rest_values)]
    floor = ridge * np.trace(rest)
    # A rest that does not change at all has no trace; every direction is then free, and the region's own are right.
    against = rest + (floor if floor > 0 else 1.0) * np.eye(width)
    found = scipy.linalg.eigh(region, against, subset_by_index=(width - count, width - 1))[1].T[::-1]
    outcome = Outcome.FOUND if ranks[0] else Outcome.RANK_ZERO
    return Subspace(
        directions=_unit(_signed(found)) if ranks[0] else np.zeros((0, width)),
        principal=axes[:count],
        null_rest=rest_axes[_first_null(ranks[1], 0, width) :],
        null_region=axes[_first_null(ranks[0], 0, width) :],
        singular_values=values,
        rank_region=ranks[0],
        rank_rest=ranks[1],
        outcome=outcome,
    )


def null_projection(
    gram: Float[np.ndarray, "D D"], *, share: float = SHARE, rank: int | None = None
) -> Float64[np.ndarray, "D D"]:
    """The projector P onto what leaves alone what a Gram matrix was measured on: `P @ d`, of unit length again.

    Args:
      gram: of the rest, to change a region alone; or of the region, to leave that alone.
      share: eigenvectors whose eigenvalue is at most this share of the greatest are null.
      rank: instead, how many eigenvectors are not null, as robust PCA or somebody found.

    Raises:
      FactorError: a matrix that is not finite, or of which nothing is null.
    """
    matrix = np.asarray(gram, np.float64)
    if not np.isfinite(matrix).all():
        raise FactorError("a Gram matrix holds numbers that are not finite")
    values, axes = _axes(matrix)
    kept = int(np.sum(values > share * values[0])) if rank is None else rank
    if not 0 <= kept < len(matrix):
        raise FactorError(f"rank {kept} of {len(matrix)} leaves no null space; raise share, or take a smaller rank")
    return axes[kept:].T @ axes[kept:]


def kept_within(
    region: Float[np.ndarray, "D D"],
    rest: Float[np.ndarray, "D D"],
    vector: Float[np.ndarray, " D"],
    *,
    weight: float = REST_WEIGHT,
    ridge: float = RIDGE,
) -> Float64[np.ndarray, " D"]:
    """What does to a region as a direction does, and to the rest as little as it can.

    The v of least (v − d)ᵀ R (v − d) + weight · vᵀ O v + ridge · tr(R) · vᵀ v, in closed form, made as long as changes
    the region as much as d does. Ours, in place of the projection of d onto the null space of the rest (`LowRankGAN`,
    section 3.3, here `null_projection`): what is left of d there has often little to do with what d does.

    Args:
      region, rest: R and O, Gram matrices of what may change and of what must stay.
      vector: d.
      weight: of a change of the rest against one of the region.
      ridge: share of the trace of R on the diagonal, so that what no pixel sees is left out.

    Returns:
      v; zero if d does not change the region.

    Raises:
      FactorError: matrices that are not finite, or settings that are not positive.
    """
    inside, outside = _checked((region, rest))
    if not (weight > 0 and ridge > 0):
        raise FactorError(f"weight {weight}, ridge {ridge}: both must be positive")
    wanted = inside @ vector
    strength = float(vector @ wanted)
    if not strength > 0:
        return np.zeros(len(inside))
    against = inside + weight * outside + ridge * np.trace(inside) * np.eye(len(inside))
    found = scipy.linalg.solve(against, wanted, assume_a="pos")
    return found * np.sqrt(strength / (found @ inside @ found))


def _first_null(rank: int, relax: int, width: int) -> int:
    """Index of the first null vector: at least one is left out, at least one is kept."""
    return min(max(1, rank - relax), width - 1)


def _axes(matrix: Float64[np.ndarray, "D D"]) -> tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, "D D"]]:
    """Eigenvalues, by falling size, and eigenvectors in rows with their largest entry positive."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    order = np.argsort(-np.abs(values), kind="stable")
    return values[order], _signed(vectors.T[order])


def _signed(vectors: Float64[np.ndarray, "K D"]) -> Float64[np.ndarray, "K D"]:
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
    return vectors * np.sign(largest)


def _unit(vectors: Float64[np.ndarray, "K D"]) -> Float64[np.ndarray, "K D"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
