"""The study of local edits: badly marked regions, and tables of ratios with their intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.local_control import tables
from scripts.local_control.regions import EXACT, variants


def test_regions_are_marked_badly_within_the_image() -> None:
    inside = np.zeros((32, 32), bool)
    inside[2:8, 20:30] = True
    found = variants(inside)
    assert found[EXACT] is inside
    np.testing.assert_array_equal(found["its box"], inside)
    assert {name: int(shape.sum()) for name, shape in found.items()} == {
        EXACT: 60,
        "its box": 60,
        "the box, half of it aside": 6 * 7,  # the image ends
        "the box, half as wide and high": 15,
        "a point of 2 × 2 px": 4,
        "a quarter of the image": 256,
    }
    assert (found["a point of 2 × 2 px"] <= inside).all()


def test_a_table_has_ratios_and_what_was_not_reached(tmp_path: Path) -> None:
    records = [
        {"species": "dog", "region": "eye", "elsewhere": {"ours": [3e-5, None]}, "resemblance": {"ours": 0.5}},
        {"species": "dog", "region": "eye", "elsewhere": {"ours": [3e-3, 3e-2]}, "resemblance": {"ours": 1.0}},
    ]
    first, second = tables.rows(records)
    assert first[:5] == ["dog", "eye", "ours", 2, 3e-3]
    assert first[5] == pytest.approx(10.0)  # the geometric mean of 100 and 1
    assert first[6] < 10 < first[7]
    assert second[5] == pytest.approx(1.0)
    assert second[8] == 0.5
    tables.write(records, tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert "| ours | 10 (" in text
    assert "| ours | 0.75 |" in text
