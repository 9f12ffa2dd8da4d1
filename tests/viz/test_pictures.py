"""Sheets, points and animations."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from dragspace_jax.viz.animation import frame_indices, save_gif
from dragspace_jax.viz.points import HANDLE, TARGET, draw_points
from dragspace_jax.viz.sheets import contact_sheet, side_by_side, to_uint8


def test_to_uint8_rounds_and_clips():
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan, np.inf, -np.inf], np.float32)
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 128, 255, 255, 0, 255, 0])
    levels = np.arange(256, dtype=np.float32) / 127.5 - 1
    np.testing.assert_array_equal(to_uint8(levels), np.arange(256))


def test_contact_sheet_places_images_in_rows():
    images = np.stack([np.full((10, 12, 3), v, np.uint8) for v in (10, 20, 30, 40, 50)])
    sheet = contact_sheet(images, columns=3, padding=2)
    assert sheet.shape == (2 * 12 + 2, 3 * 14 + 2, 3)
    assert [int(sheet[7, 8 + 14 * i, 0]) for i in range(3)] == [10, 20, 30]
    assert [int(sheet[19, 8 + 14 * i, 0]) for i in range(3)] == [40, 50, 255]


def test_labels_stand_below_and_leave_the_images_alone():
    images = np.full((2, 32, 32, 3), 128, np.uint8)
    sheet = contact_sheet(images, columns=2, labels=["a", "b"], padding=4)
    assert sheet.shape[0] > 32 + 8
    assert (sheet[4:36, 4:36] == 128).all()
    assert (sheet[36:] < 100).any()
    with pytest.raises(ValueError, match="1 labels for 2 images"):
        contact_sheet(images, labels=["a"])
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])


def test_side_by_side_keeps_the_order():
    pair = side_by_side([np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 200, np.uint8)])
    assert pair[12, 12, 0] == 0
    assert pair[12, 32, 0] == 200


@pytest.mark.parametrize("side", [64, 128, 512, 1024])
def test_marks_stand_where_the_points_are(side):
    image = np.full((side, side, 3), 90, np.uint8)
    handles = np.array([[0.25, 0.5], [0.7, 0.2]]) * side
    targets = np.array([[0.6, 0.55], [0.7, 0.9]]) * side
    picture = draw_points(image, handles, targets, path=np.stack([handles - side / 50, handles]))
    factor = max(1, 512 // side)
    assert picture.shape == (side * factor, side * factor, 3)
    for points, colour in ((handles, HANDLE), (targets, TARGET)):
        for x, y in points:
            column, row = int((x + 0.5) * factor), int((y + 0.5) * factor)
            np.testing.assert_array_equal(picture[row, column], colour)
    assert (picture[:20, :20] == 90).all()


def test_points_at_the_border_and_on_their_target():
    image = np.zeros((128, 128, 3), np.uint8)
    corners = np.array([[0.0, 0.0], [127.0, 127.0]])
    picture = draw_points(image, corners, corners)
    np.testing.assert_array_equal(picture[2, 2], HANDLE)
    ring = picture[:20, :20].reshape(-1, 3)
    assert (ring == TARGET).all(1).any()  # the target shows around a handle that has arrived


def test_frames_are_chosen_evenly():
    assert frame_indices(1) == [0]
    assert frame_indices(24) == list(range(24))
    chosen = frame_indices(301)
    assert len(chosen) == 24
    assert (chosen[0], chosen[-1]) == (0, 300)
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1


def test_gif_keeps_colours_and_does_not_flicker(tmp_path):
    ramp = np.linspace(60, 200, 64).astype(np.uint8)
    still = np.stack([np.tile(ramp, (64, 1))] * 3, -1)
    frames = []
    for i in range(40):
        frame = still.copy()
        frame[40:50, i : i + 10] = HANDLE
        frames.append(frame)
    save_gif(frames, tmp_path / "a.gif", seconds=2.0, hold=1.2)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.info["loop"] == 0
        shown, durations = [], []
        for frame in ImageSequence.Iterator(gif):
            shown.append(np.asarray(frame.convert("RGB")).astype(int))
            durations.append(frame.info["duration"])
    assert len(shown) == 24
    assert durations[-1] > 5 * durations[1]
    assert np.abs(shown[0] - frames[0]).mean() < 4
    assert np.abs(shown[-1][45, 44] - HANDLE).max() < 12
    assert all((s[:30] == shown[0][:30]).all() for s in shown)


def test_gif_of_one_frame(tmp_path):
    save_gif([np.zeros((8, 8, 3), np.uint8)], tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (8, 8)
