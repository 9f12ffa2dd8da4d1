"""Robust PCA and the projection against LowRankGAN's own figures, and against a loop written out in NumPy."""

from __future__ import annotations

import numpy as np

from dragspace_jax.analysis.lowrank import Outcome, subspaces
from dragspace_jax.analysis.rpca import robust_pca

from .compare import below, golden_arrays, relative_error


def test_it_has_the_published_factors_and_direction():
    arrays = golden_arrays("lowrank_d32")
    parts = [below(arrays, f"{name}/") for name in ("fore", "back")]
    found = robust_pca(np.stack([part["M"] for part in parts]), weight=1 / 60)
    for index, part in enumerate(parts):
        assert relative_error(found.low_rank[index], part["L"]) < 1e-6
        assert relative_error(found.sparse[index], part["S"]) < 1e-6
        assert found.iterations[index] == part["iters"]
    assert found.converged.all()
    assert found.low_rank.dtype == np.float64

    (subspace,) = subspaces([(parts[0]["M"], parts[1]["M"])], solver="rpca", weight=1 / 60)
    assert (subspace.rank_region, subspace.rank_rest) == (parts[0]["rank"], parts[1]["rank"])
    assert subspace.outcome is Outcome.FOUND
    for ours, theirs in ((subspace.principal, "principal"), (subspace.directions, "projected")):
        assert ours.shape == (1, 32)
        assert abs(ours[0] @ arrays[theirs][0]) > 1 - 1e-12


def _gram(random: np.random.RandomState, rank: int, pixels: int, width: int = 32) -> np.ndarray:
    """Of a Jacobian of some rank, with a few entries that stand out."""
    rows = random.randn(pixels, rank) @ random.randn(rank, width)
    rows[random.randint(pixels, size=3), random.randint(width, size=3)] += 20.0
    return rows.T @ rows / pixels


def _shrunk(values: np.ndarray, by: float) -> np.ndarray:
    return np.sign(values) * np.maximum(np.abs(values) - by, 0)


def _loop(m: np.ndarray, weight: float) -> np.ndarray:
    """L by singular values, as the papers have it."""
    mu = m.size / (4 * float(np.linalg.norm(m, 1)))
    low_rank, s, y = np.zeros_like(m), np.zeros_like(m), np.zeros_like(m)
    for _ in range(10_000):
        u, values, v = np.linalg.svd(m - s + y / mu)
        low_rank = (u * _shrunk(values, 1 / mu)) @ v
        s = _shrunk(m - low_rank + y / mu, weight / mu)
        y = y + mu * (m - low_rank - s)
        if np.linalg.norm(m - low_rank - s) <= 1e-7 * np.linalg.norm(m):
            break
    return low_rank


def test_it_has_those_of_a_loop_with_several_directions_and_relaxed():
    random = np.random.RandomState(0)
    region, rest = _gram(random, 4, 30), _gram(random, 9, 200)
    weight, relax = 0.1, 2
    (found,) = subspaces([(region, rest)], solver="rpca", weight=weight, relax=relax)
    bases = [np.linalg.svd(_loop(matrix, weight)) for matrix in (region, rest)]
    ranks = [int(np.sum(basis[1] > 1e-9 * basis[1][0])) for basis in bases]
    assert (found.rank_region, found.rank_rest) == tuple(ranks)
    assert ranks[0] > 1
    null = bases[1][2][max(1, ranks[1] - relax) :]
    projected = bases[0][2][: ranks[0]] @ null.T @ null
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(np.sum(found.directions * projected, 1)), 1.0, atol=1e-9)
    np.testing.assert_allclose(found.null_rest.T @ found.null_rest, null.T @ null, atol=1e-7)
