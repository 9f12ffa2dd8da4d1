"""`dragspace channels` on a small network, with regions that a Python object gives."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

Run = Callable[..., Result]
REGIONS = "tests.analysis.test_channels:HALVES"


def test_it_writes_a_table_and_pictures(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    command = ("channels", "--model", tiny_folder, "--segmentation", REGIONS, "--out", tmp_path)
    assert dragspace(*command, "--images", 1).exit_code == 0
    result = dragspace(*command, "--images", 2)
    assert result.exit_code == 0, result.output
    assert "channels act on one region, by 2 images: left" in result.output
    with (tmp_path / "channels.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["region"] for line in lines} <= {"left", "right", ""}
    assert lines[0]["layer"] == "b4.conv1"
    assert lines[0]["number"] == "0"
    assert next(line for line in lines if line["layer"] == "b8.conv0")["number"] == "2"  # ToRGB counts
    for name in ("sheet.png", "regions.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size > (100, 100)
    fewer = dragspace(*command, "--images", 1)
    assert fewer.exit_code == 2
    assert "has 2 already" in fewer.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give a Python object as MODULE:NAME"),
        (("--segmentation", "nowhere:thing"), "No module named 'nowhere'"),
        (("--segmentation", "math:pi"), "must have `names`"),
    ],
)
def test_mistakes_are_named(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    result = dragspace("channels", "--model", tiny_folder, *options, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert said in result.output
