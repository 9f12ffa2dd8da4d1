"""Resampling filters as the formats state them: the ratios of their taps."""

from __future__ import annotations

import numpy as np
import pytest

from dragspace_jax.convert import ConvertError
from dragspace_jax.convert.settings import filter_taps


def kernel(taps: list[float], dtype: type = np.float32) -> np.ndarray:
    row = np.asarray(taps, dtype)
    return np.outer(row, row) / row.sum() ** 2


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [2, 3, 3, 2], [1, 1, 1, 1], [0, 1, 1, 0], [1, 123.4567, 123.4567, 1]])
def test_ratios_of_few_decimals_come_back_exactly(taps: list[float]) -> None:
    smallest = min(tap for tap in taps if tap)
    expected = tuple(tap / smallest for tap in taps)
    assert filter_taps(kernel(taps), "here") == expected
    assert filter_taps(taps, "here") == expected


@pytest.mark.parametrize("ratio", [np.pi, 1.00003, 1 / 3, -0.1])
def test_other_ratios_keep_what_float32_holds(ratio: float) -> None:
    taps = [1.0, ratio, ratio, 1.0]
    expected = np.asarray(taps) / min(1.0, abs(ratio))
    np.testing.assert_allclose(filter_taps(kernel(taps), "here"), expected, rtol=1e-6)
    np.testing.assert_allclose(filter_taps(taps, "here"), expected, rtol=6e-7)


@pytest.mark.parametrize(
    ("values", "says"),
    [([1, 2, 3, 4], "not symmetric"), (np.eye(4), "not separable"), ([1, 2, 1], "four"), (np.zeros((4, 4)), "four")],
)
def test_refused(values: object, says: str) -> None:
    with pytest.raises(ConvertError, match=says):
        filter_taps(values, "here")
