"""Regions that may change: boxes, label maps, how a region grows for a drag, and what an edit makes of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dragspace_jax.drag import DragSettings, EditError, EditRequest, drag_one, make_edit
from dragspace_jax.drag.recipes import complete_settings
from dragspace_jax.drag.region import GROWTH, box_region, grown_region, label_region
from dragspace_jax.spaces import WPlus
from dragspace_jax.stylegan2 import Generator

SIDE = 128
RADIUS = int(GROWTH * SIDE)
STILL = np.zeros((1, 2), np.float32)


def extent(region: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row, first and last column."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def test_a_box_is_x_y_width_height() -> None:
    region = box_region((3, 5, 4, 2), 16)
    assert region.dtype == bool
    assert extent(region) == (5, 6, 3, 6)
    assert region.sum() == 8
    assert box_region([0, 0, 16, 16], 16).all()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 17, 4), "is not within the image's 16 × 16 pixels"),
        ((-1, 0, 4, 4), "is not within"),
        ((4, 4, 0, 4), "is not within"),
        ((4, 4, 4), "not a box of four numbers"),
        ((4, 4, 4, float("nan")), "four finite numbers"),
    ],
)
def test_what_is_no_box(box: tuple[float, ...], message: str) -> None:
    with pytest.raises(EditError, match=message) as caught:
        box_region(box, 16)
    assert caught.value.field == "region"


def test_ids_of_a_label_map() -> None:
    labels = np.array([[0, 3], [5, 3]], np.int32)
    np.testing.assert_array_equal(label_region(labels, [3, 5]), [[False, True], [True, True]])
    with pytest.raises(EditError, match="segment 4 is not on the label map; it holds 0, 3, 5"):
        label_region(labels, [3, 4])


def test_a_region_grows_by_a_share_of_the_side() -> None:
    region = box_region((40, 60, 20, 10), SIDE)
    handle = np.array([[65.0, 50.0]], np.float32)
    grown = grown_region(region, handle, handle)
    assert extent(grown) == (60 - RADIUS, 69 + RADIUS, 40 - RADIUS, 59 + RADIUS)
    assert not grown[60 - RADIUS, 40 - RADIUS]  # corners are rounded
    assert grown[60:70, 40:60].all()


def test_a_way_within_its_part_carries_nothing() -> None:
    region = box_region((40, 60, 40, 40), SIDE)
    still = grown_region(region, STILL + 70, STILL + 70)
    np.testing.assert_array_equal(grown_region(region, STILL + 70, STILL + 78), still)
    assert extent(grown_region(region, STILL + 30, STILL + 70)) == (30 - RADIUS, 99 + RADIUS, 30 - RADIUS, 79 + RADIUS)


@pytest.mark.parametrize("row", [80, 90])
def test_where_a_mouth_will_open_is_free(row: int) -> None:
    """The handle on the closed mouth or under it: what is as wide as the mouth, along the way."""
    line = box_region((40, 80, 30, 2), SIDE)
    far = box_region((5, 20, 10, 10), SIDE)
    handle, target = np.array([[row, 55.0]], np.float32), np.array([[row + 20.0, 55.0]], np.float32)
    grown = grown_region(line | far, handle, target)
    assert grown[80:96, 40:70].all()
    assert extent(grown[50:]) == (30 - RADIUS, row + 20 + RADIUS - 50, 40 - RADIUS, 69 + RADIUS)
    assert extent(grown[:50]) == (20 - RADIUS, 29 + RADIUS, 5 - RADIUS, 14 + RADIUS)  # the other part only grows


def test_ways_of_several_handles_and_the_border() -> None:
    region = box_region((0, 0, 6, 6), SIDE)
    handles, targets = np.array([[3.0, 3], [3, 3]], np.float32), np.array([[3.0, 127], [127, 3]], np.float32)
    grown = grown_region(region, handles, targets)
    assert extent(grown) == (0, 127, 0, 127)
    assert not grown[40, 40]
    assert grown[0:6, 127].all()


HANDLE, TARGET = np.array([[12, 14]]), np.array([[12, 20]])


def test_an_edit_keeps_the_grown_region_and_supervision_its_complement(tiny_generator: Generator) -> None:
    region = box_region((8, 8, 8, 8), 32)
    grown = grown_region(region, HANDLE, TARGET)
    common = {"latents": np.zeros((8, 16), np.float32), "handles_yx": HANDLE, "targets_yx": TARGET, "space": WPlus()}
    for given in (region, region.astype(np.uint8) * 255, region.astype(float)):
        edit = make_edit(tiny_generator, EditRequest(**common, region=given), "published")
        np.testing.assert_array_equal(edit.region, grown)
        np.testing.assert_array_equal(edit.arrays["mask"], ~grown)
        assert edit.settings.engine == "whole"
    masked = make_edit(tiny_generator, EditRequest(**common, mask=~grown), "published")
    np.testing.assert_array_equal(masked.region, grown)
    assert masked.program == edit.program
    own = dataclasses.replace(edit.settings.method, objective="another")
    settings = dataclasses.replace(DragSettings(), method=own)
    other = make_edit(tiny_generator, EditRequest(**common, region=region, settings=settings))
    assert other.arrays == {}
    assert other.region is not None
    assert other.program == make_edit(tiny_generator, EditRequest(**common, settings=settings)).program


def test_bad_regions(tiny_generator: Generator) -> None:
    request = EditRequest(latents=np.zeros((8, 16), np.float32), handles_yx=HANDLE, targets_yx=TARGET, space=WPlus())
    half = box_region((0, 0, 32, 16), 32)
    for given, message in (
        ({"region": half, "mask": ~half}, "either `mask` or `region`"),
        ({"region": np.zeros((32, 32))}, "the region must hold both 0 .must stay. and 1 .may change"),
        ({"region": np.ones((32, 32))}, "must hold both"),
        ({"region": np.zeros((16, 16))}, r"the region has shape \(16, 16\)"),
        ({"region": "face"}, "the region is not an array of numbers"),
    ):
        with pytest.raises(EditError, match=message):
            make_edit(tiny_generator, dataclasses.replace(request, **given))


def test_a_region_is_dragged_as_the_complement_of_what_it_grows_to(tiny_generator: Generator) -> None:
    ws = np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)
    region = box_region((8, 8, 8, 8), 32)
    grown = grown_region(region, HANDLE, TARGET)
    how = {"space": WPlus(), "settings": complete_settings("published", 32, {"steps": 4})}
    named = drag_one(tiny_generator, ws, HANDLE, TARGET, region=region, **how)
    masked = drag_one(tiny_generator, ws, HANDLE, TARGET, mask=~grown, **how)
    free = drag_one(tiny_generator, ws, HANDLE, TARGET, **how)
    assert named.steps == masked.steps > 1
    np.testing.assert_array_equal(named.latents.ws, masked.latents.ws)
    assert np.abs(free.latents.ws - masked.latents.ws).max() > 0
