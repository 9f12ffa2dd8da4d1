"""Scores on cases with known answers, and pairs matched by attributes."""

from __future__ import annotations

import numpy as np
import pytest

from dragspace_jax.analysis.agreement import (
    COARSE,
    coarse_and_fine,
    correlations,
    cosines,
    transfer,
    variance_explained,
)
from dragspace_jax.analysis.maps import AlignmentError
from dragspace_jax.analysis.pairing import MOST, match
from dragspace_jax.critters.attributes import NAMES

RANDOM = np.random.default_rng(0)


def test_variance_explained() -> None:
    wanted = RANDOM.standard_normal((500, 3)) * np.array([3.0, 1.0, 0.5])
    assert variance_explained(wanted, wanted) == (1.0, 1.0)
    mean = np.broadcast_to(wanted.mean(0), wanted.shape)
    assert variance_explained(mean, wanted) == pytest.approx((0.0, 0.0))
    half = np.where([True, False, False], wanted, mean)  # the first coordinate is known, the others are not
    variance = wanted.var(0)
    assert variance_explained(half, wanted) == pytest.approx((variance[0] / variance.sum(), 1 / 3))
    assert variance_explained(-wanted, wanted).total < 0
    assert variance_explained(np.zeros((4, 2)), np.ones((4, 2))) == (0.0, 0.0)


def test_correlations() -> None:
    a, b = RANDOM.standard_normal((2, 300, 4))
    b[:, 0], b[:, 1], b[:, 3] = 5 * a[:, 0] + 2, -a[:, 1], 7.0
    expected = [1.0, -1.0, np.corrcoef(a[:, 2], b[:, 2])[0, 1], 0.0]
    np.testing.assert_allclose(correlations(a, b), expected, atol=1e-12)


def test_the_split_is_of_the_attributes_there_are() -> None:
    assert set(COARSE) < set(NAMES)
    assert coarse_and_fine({"yaw": 0.8, "fur_hue": 0.6, "smile": 0.2}) == pytest.approx((0.7, 0.2))
    assert coarse_and_fine({"smile": 0.2}) == (None, pytest.approx(0.2))


def test_moves_that_agree_and_do_not() -> None:
    source = np.array([[4.0, 0.0], [0.0, 2.0], [3.0, 4.0], [1.0, 0.0]])
    target = np.array([[2.0, 0.0], [2.0, 0.0], [-3.0, -4.0], [0.0, 0.0]])
    np.testing.assert_allclose(cosines(source, target), [1.0, 0.0, -1.0, 0.0])
    assert transfer(source, target) == pytest.approx((4, 0.0, 0.75, 0.25))


def test_partners_are_found_again() -> None:
    attributes = RANDOM.standard_normal((60, 5)) * np.array([1.0, 100.0, 0.01, 3.0, 1.0])
    order = RANDOM.permutation(60)
    found = match(attributes, 2 * attributes[order] + 3)  # another unit and another mean on the other side
    np.testing.assert_array_equal(order[found.columns], found.rows)
    np.testing.assert_allclose(found.distance, 0.0, atol=1e-6)


def test_bad_attributes() -> None:
    good = RANDOM.standard_normal((5, 2))
    with pytest.raises(AlignmentError, match=r"shapes \(5, 2\) and \(4, 2\)"):
        match(good, good[:4])
    with pytest.raises(AlignmentError, match="the target samples hold an attribute that does not vary"):
        match(good, good * np.array([1.0, 0.0]))
    with pytest.raises(AlignmentError, match="too many to be matched"):
        match(*np.zeros((2, MOST + 1, 1)))
