"""Plots and labelled grids."""

import numpy as np
import pytest

from dragspace_jax.viz.grids import labelled_grid
from dragspace_jax.viz.plots import scree_plot


@pytest.mark.parametrize("count", [1, 2, 64])
def test_a_scree_plot_is_a_picture(count):
    picture = scree_plot(0.5 ** np.arange(count, dtype=np.float32), total=2.5, title="dog")
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert picture.shape[1] > picture.shape[0] > 400
    assert (picture[0] == 255).all()
    assert (picture == [38, 108, 235]).all(2).any()  # a bar


def test_a_scree_plot_needs_components():
    with pytest.raises(ValueError, match=r"needs variances \[K\]"):
        scree_plot(np.zeros(0))


def test_a_grid_has_its_images_in_place():
    images = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1) * np.ones((1, 1, 20, 24, 3), np.uint8)
    sheet = labelled_grid(images, rows=["first\nline", "2"], columns=["a", "b", "c"], padding=2)
    left, top = sheet.shape[1] - 3 * 26, sheet.shape[0] - 2 * 22
    assert left > 0
    assert top > 0
    for row in range(2):
        for column in range(3):
            y, x = top + 22 * row, left + 26 * column
            np.testing.assert_array_equal(sheet[y : y + 20, x : x + 24], images[row, column])
    assert (sheet[:top] < 128).any()  # the titles
    assert (sheet[top:, :left] < 128).any()


def test_a_grid_is_named_on_both_sides():
    with pytest.raises(ValueError, match="1 rows and 2 columns"):
        labelled_grid(np.zeros((1, 1, 4, 4, 3), np.uint8), rows=["a"], columns=["b", "c"])
    with pytest.raises(ValueError, match="at least one"):
        labelled_grid([], rows=[], columns=[])
