"""Subspaces of regions whose Jacobians are known, and what is said where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from dragspace_jax.analysis.lowrank import SOLVERS, Outcome, kept_within, null_projection, subspaces
from dragspace_jax.analysis.rpca import FactorError, default_weight, robust_pca

AXES = np.eye(16)


def _gram(*axes: int) -> np.ndarray:
    """Of a picture part that changes along some axes, the first the most."""
    return sum(np.outer(AXES[axis], AXES[axis]) / (rank + 1) for rank, axis in enumerate(axes)) + np.zeros((16, 16))


@pytest.mark.parametrize("solver", SOLVERS)
def test_directions_change_the_region_alone(solver: str) -> None:
    region, rest = _gram(0, 1, 2), _gram(0, 3, 4)
    (found,) = subspaces([(region, rest)], solver=solver, directions=3, weight=10.0)  # type: ignore[arg-type]
    best = found.directions[0]  # of the published ones, that of axis 0 is lost in the rest
    assert len(found.directions) == (3 if solver == "closed" else 2)
    assert np.abs(best @ AXES[1]) > 0.999
    assert best @ rest @ best < 1e-6
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1.0)
    np.testing.assert_allclose(found.null_region @ region, 0.0, atol=1e-9)


def test_outcomes_are_named() -> None:
    plain, zero = _gram(0, 1), np.zeros((16, 16))
    full = np.diag(np.arange(16.0, 0.0, -1.0))
    cases = [(plain, _gram(2, 3)), (zero, plain), (plain, zero), (np.ones((16, 16)) + plain, full), (plain, plain)]
    found = subspaces(cases, solver="rpca", weight=10.0)
    outcomes = [Outcome.FOUND, Outcome.RANK_ZERO, Outcome.NOTHING_TO_PROJECT, Outcome.COLLAPSED, Outcome.LOST]
    assert [each.outcome for each in found] == outcomes
    assert all(each.outcome.advice for each in found[1:])
    assert found[1].directions.shape == (0, 16)
    np.testing.assert_allclose(np.abs(found[3].directions @ found[3].directions.T), 1.0)
    noise = np.random.RandomState(0).randn(16, 16)
    cut = subspaces([(noise @ noise.T, plain)], solver="rpca", weight=0.1, iterations=2)[0]
    assert cut.outcome is Outcome.NOT_CONVERGED
    assert subspaces([(zero, plain)])[0].outcome is Outcome.RANK_ZERO


def test_a_direction_is_kept_to_what_it_does_in_the_region() -> None:
    region, rest = _gram(0, 1), _gram(1, 2)
    kept = kept_within(region, rest, AXES[0] + AXES[1] + AXES[2] + AXES[3])
    assert kept @ region @ kept == pytest.approx(region[0, 0] + region[1, 1])
    assert kept @ rest @ kept < 1e-3
    np.testing.assert_allclose(kept[2:], 0.0, atol=1e-12)  # what the region does not see
    assert not kept_within(region, rest, AXES[2]).any()
    with pytest.raises(FactorError, match="not finite"):
        kept_within(region, rest * np.nan, AXES[0])
    with pytest.raises(FactorError, match="must be positive"):
        kept_within(region, rest, AXES[0], ridge=0.0)


def test_a_projection_leaves_the_rest_alone() -> None:
    projection = null_projection(_gram(0, 1) + 1e-5 * np.eye(16))
    np.testing.assert_allclose(projection, np.diag([0.0, 0.0, *np.ones(14)]), atol=1e-12)
    np.testing.assert_allclose(null_projection(_gram(0, 1), rank=1), np.diag([0.0, *np.ones(15)]), atol=1e-12)
    with pytest.raises(FactorError, match="no null space"):
        null_projection(np.eye(16))


def test_what_makes_no_sense_is_refused() -> None:
    bad = _gram(0)[None].copy()
    bad[0, 0, 0] = np.nan
    with pytest.raises(FactorError, match="not finite"):
        robust_pca(bad)
    with pytest.raises(FactorError, match="lambda is -1"):
        robust_pca(_gram(0)[None], weight=-1)
    assert default_weight(512) == 1 / 60
