"""Where an image may change, and how much it did elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from dragspace_jax.metrics.change import away_from, box_averaged, reduction, weighted_mean


def test_weights_spare_the_way_and_nothing_else() -> None:
    handles, targets = np.array([[32.0, 64.0], [100.0, 100.0]]), np.array([[32.0, 96.0], [100.0, 100.0]])
    weights = away_from(handles, targets, 128, 32)
    assert weights[8, 16:24].max() < 0.01, "on the way"
    assert weights[-1].min() > 0.98, "far from it, and near a handle that is to stay"
    np.testing.assert_allclose(weights[:, 20], weights[:, 19], rtol=1e-9)  # 80 px is the way's middle
    assert weighted_mean(np.where(weights < 0.5, 1.0, 0.0), weights) < 0.15
    # σ of a way of 32 px is 10 + 16 px; the pixel (29, 16) of the small picture is at (117.5, 65.5).
    assert weights[29, 16] == pytest.approx(1 - np.exp(-((85.5 / 26) ** 2) / 2), rel=1e-6)
    np.testing.assert_array_equal(away_from(handles[1:], targets[1:], 128, 32), 1.0)


def test_pictures_are_averaged_in_whole_boxes() -> None:
    assert [reduction(side) for side in (8, 32, 36, 64, 128, 512)] == [1, 1, 1, 2, 4, 16]
    image = np.random.RandomState(0).rand(6, 6, 3)
    np.testing.assert_allclose(box_averaged(image, 3)[0, 1], image[:2, 2:4].mean((0, 1)))
