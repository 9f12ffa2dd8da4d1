"""Where an image may change, as an edit names it: regions of boxes and of label maps, and how one grows for a drag."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import scipy  # which imports `ndimage` when it is asked for, and most edits name no region
from jaxtyping import Bool, Int, Integer, Real

from dragspace_jax.drag.settings import EditError

GROWTH = 1 / 32
"""By this share of the image's side a region grows: an edge that a label map draws is not where change ends."""


def box_region(box: Sequence[float], side: int) -> Bool[np.ndarray, "H W"]:
    """The pixels of a box, of an image of `side` × `side`.

    Args:
      box: (x, y, width, height) in pixels of the image; pixel (row y, column x) is its upper left one.
      side: H and W.

    Raises:
      EditError: not four finite numbers, or a box that is empty or not within the image.
    """
    x, y, width, height = _numbers(box)
    if width <= 0 or height <= 0 or min(x, y) < 0 or max(x + width, y + height) > side:
        raise EditError(
            f"region: the box x={x:g}, y={y:g}, {width:g} wide, {height:g} high is not within the image's "
            f"{side} × {side} pixels",
            field="region",
        )
    pixels = np.arange(side)
    rows, columns = ((pixels >= start) & (pixels < start + length) for start, length in ((y, height), (x, width)))
    return rows[:, None] & columns[None, :]


def label_region(labels: Integer[np.ndarray, "H W"], ids: Collection[int]) -> Bool[np.ndarray, "H W"]:
    """The pixels of a label map that have one of the ids.

    Raises:
      EditError: an id that no pixel has.
    """
    known = np.unique(labels).tolist()
    for each in ids:
        if each not in known:
            shown = ", ".join(map(str, known[:20])) + (", …" if len(known) > 20 else "")
            raise EditError(f"segment {each} is not on the label map; it holds {shown}", field="segment")
    return np.isin(labels, list(ids))


def grown_region(
    region: Bool[np.ndarray, "H W"], handles_yx: Real[np.ndarray, "N 2"], targets_yx: Real[np.ndarray, "N 2"]
) -> Bool[np.ndarray, "H W"]:
    """What has to be free for the handles to reach their targets.

    The region and the handles' straight ways grow by `GROWTH` in all directions. The connected part that a handle is
    on, or nearest to, is carried along with what of its way lies beyond it: so under a closed mouth, which is a line,
    a handle on its lip or on the chin frees as much as the mouth is wide. A way within its part carries nothing.

    Args:
      region: true where the image may change; some pixel is.
      handles_yx, targets_yx: pixels of the image.
    """
    radius = GROWTH * len(region)
    near = _grown(region, radius)
    parts = np.zeros(region.shape, np.int32)
    scipy.ndimage.label(near, output=parts)
    nearest = scipy.ndimage.distance_transform_edt(~near, return_distances=False, return_indices=True)
    assert isinstance(nearest, np.ndarray)
    free = region.copy()
    for handle, target in zip(handles_yx, targets_yx, strict=True):
        way = _way(handle, target)
        free[way[:, 0], way[:, 1]] = True
        part = parts[tuple(nearest[:, way[0, 0], way[0, 1]])]
        on_part = np.flatnonzero(parts[way[:, 0], way[:, 1]] == part)
        last = on_part[-1] if len(on_part) else 0
        # What is carried grows by the radius afterwards, so the steps between may be that coarse.
        beyond = (way[last:] - way[last])[:: -max(1, int(radius / 4))]
        _carry(free, region & (parts == part), beyond)
    return _grown(free, radius)


def _grown(region: Bool[np.ndarray, "H W"], radius: float) -> Bool[np.ndarray, "H W"]:
    """All pixels within `radius` pixels of the region's."""
    return np.asarray(scipy.ndimage.distance_transform_edt(~region)) <= radius


def _way(handle: Real[np.ndarray, " 2"], target: Real[np.ndarray, " 2"]) -> Int[np.ndarray, "T 2"]:
    """Pixels from the handle to the target, neighbours touching; one if they are the same."""
    steps = math.ceil(np.abs(target - handle).max()) + 1
    return np.round(np.linspace(handle, target, steps)).astype(int)


def _carry(free: Bool[np.ndarray, "H W"], part: Bool[np.ndarray, "H W"], offsets: Int[np.ndarray, "T 2"]) -> None:
    """Set `free` where the part lies when it is moved by each of the offsets, as far as that is in the image."""
    side = len(free)
    found = scipy.ndimage.find_objects(part.astype(np.int8))[0]
    piece, first = part[found], np.array([axis.start for axis in found])
    for offset in offsets:
        begin = first + offset
        low, high = np.maximum(begin, 0), np.minimum(begin + piece.shape, side)
        if (low < high).all():
            (top, left), (bottom, right) = low, high
            y, x = low - begin
            free[top:bottom, left:right] |= piece[y : y + bottom - top, x : x + right - left]


def _numbers(box: Sequence[float]) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(number) for number in box)
    except (TypeError, ValueError) as error:
        raise EditError(f"region {box!r} is not a box of four numbers, x, y, width, height", field="region") from error
    if not all(map(math.isfinite, (x, y, width, height))):
        raise EditError(f"region {box!r} is not a box of four finite numbers", field="region")
    return x, y, width, height
