"""Scores of disentanglement: the published ones of a stored matrix, the ends of the scale, and a fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dragspace_jax.metrics.dci import DCIError, balanced, completeness, dci, disentanglement

GOLDEN = Path(__file__).parents[1] / "golden" / "dci_40x7.npz"


def test_they_are_the_published_ones() -> None:
    arrays = np.load(GOLDEN, allow_pickle=False)
    assert disentanglement(arrays["importance"]) == pytest.approx(float(arrays["disentanglement"]), abs=1e-12)
    assert completeness(arrays["importance"]) == pytest.approx(float(arrays["completeness"]), abs=1e-12)


def test_the_ends_of_the_scale() -> None:
    assert disentanglement(np.eye(4)) == pytest.approx(1.0)
    assert completeness(np.eye(4)) == pytest.approx(1.0)
    assert disentanglement(np.ones((5, 3))) == pytest.approx(0.0, abs=1e-9)
    shared = np.kron(np.eye(2), np.ones((3, 1)))  # three codes a factor
    assert disentanglement(shared) == pytest.approx(1.0)
    assert completeness(shared) == pytest.approx(1 - np.log(3) / np.log(6))
    for wrong in (np.zeros((3, 3)), -np.eye(3), np.eye(3) * np.nan, np.ones((3, 1))):
        with pytest.raises(DCIError):
            disentanglement(wrong)


def test_a_fit_finds_the_codes_that_matter() -> None:
    random = np.random.RandomState(0)
    codes = random.randn(1200, 6)
    found = dci(codes, codes[:, :3] + 0.05 * random.randn(1200, 3))
    assert found.importance.argmax(0).tolist() == [0, 1, 2]
    assert min(found.scores.values()) > 0.9
    low, high = found.intervals(samples=50)["disentanglement"]
    assert low <= found.scores["disentanglement"] <= high
    with pytest.raises(DCIError, match="factor 1 is the same"):
        dci(codes, np.stack([codes[:, 0], np.ones(1200)], 1))
    with pytest.raises(DCIError, match="200 at least"):
        dci(codes[:100], codes[:100])


def test_what_is_rare_does_not_count() -> None:
    factors = np.stack([np.arange(100.0), np.where(np.arange(100) < 3, 1.0, 0.0)], 1)
    assert balanced(factors, np.array([49.5, 0.5])).tolist() == [True, False]
