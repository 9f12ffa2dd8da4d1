"""Handles, targets and the way between them, drawn on a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from dragspace_jax.viz.sheets import enlarged, enlargement

HANDLE = (228, 26, 28)
TARGET = (38, 108, 235)
PATH = (255, 196, 0)
OUTLINE = (255, 255, 255)

_MIN_SIDE = 512  # smaller pictures are enlarged, so that the marks do not hide what they mark
_OVERSAMPLING = 3  # marks are drawn this much larger and averaged down
_RIM = 16.0  # how far around a point its marks reach at most, in pixels of a picture 512 px high


def draw_points(
    image: np.ndarray,
    handles: np.ndarray,
    targets: np.ndarray,
    path: np.ndarray | None = None,
) -> np.ndarray:
    """Mark handles (red), targets (blue), an arrow from each to its target, and the path tracked so far (yellow).

    Args:
      image: uint8 [H, W, 3].
      handles: [N, 2] (x, y), in pixels of `image`, pixel centres at whole numbers.
      targets: [N, 2] (x, y).
      path: [T, N, 2] (x, y), the handles of every step, or None.

    Returns:
      The picture, at least 512 px high, uint8 [k·H, k·W, 3].
    """
    factor = enlargement(image, _MIN_SIDE)
    picture = Image.fromarray(enlarged(image, _MIN_SIDE))
    unit = picture.height / _MIN_SIDE
    # From pixel centres of the small picture to the drawing's coordinates, whose origin is a pixel's corner.
    starts, ends = ((np.asarray(points, np.float64) + 0.5) * factor for points in (handles, targets))
    track = None if path is None else (np.asarray(path, np.float64) + 0.5) * factor
    box = _around([starts, ends] if track is None else [starts, ends, track.reshape(-1, 2)], picture, _RIM * unit)

    def place(points: np.ndarray) -> np.ndarray:
        return (points - box[:2]) * _OVERSAMPLING

    width, height = box[2] - box[0], box[3] - box[1]
    marks = Image.new("RGBA", (width * _OVERSAMPLING, height * _OVERSAMPLING), (*OUTLINE, 0))
    _draw_marks(
        ImageDraw.Draw(marks), place(starts), place(ends), None if track is None else place(track), unit * _OVERSAMPLING
    )
    marked = picture.crop(box).convert("RGBA")
    marked.alpha_composite(marks.resize((width, height), Image.Resampling.BOX))
    picture.paste(marked.convert("RGB"), box)
    return np.asarray(picture)


def _around(points: Sequence[np.ndarray], picture: Image.Image, rim: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of the picture that the marks at these points can reach."""
    every = np.concatenate(points)
    size = np.array(picture.size)
    first = np.clip(np.floor(every.min(0) - rim), 0, size - 1).astype(int)
    last = np.clip(np.ceil(every.max(0) + rim), first + 1, size).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _draw_marks(
    draw: ImageDraw.ImageDraw, starts: np.ndarray, ends: np.ndarray, path: np.ndarray | None, unit: float
) -> None:
    """All marks, in the drawing's coordinates; path is [T, N, 2] or None."""
    if path is not None:
        for track in np.swapaxes(path, 0, 1):
            _polyline(draw, track, OUTLINE, 5 * unit)
            _polyline(draw, track, PATH, 3 * unit)
    for start, end in zip(starts, ends, strict=True):
        _arrow(draw, start, end, unit)
    # A target is the larger dot: a handle that has arrived makes a bull's-eye of it.
    for centres, colour, radius in ((ends, TARGET, 9.0), (starts, HANDLE, 5.5)):
        for centre in centres:
            _dot(draw, centre, (radius + 1.8) * unit, OUTLINE)
            _dot(draw, centre, radius * unit, colour)


def _dot(draw: ImageDraw.ImageDraw, centre: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
    (x, y), r = centre, radius
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, 255))


def _polyline(draw: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, int, int], width: float) -> None:
    for point in points:
        _dot(draw, point, width / 2, colour)  # round joints and ends
    if len(points) > 1:
        draw.line([tuple(p) for p in points], fill=(*colour, 255), width=round(width))


def _arrow(draw: ImageDraw.ImageDraw, start: np.ndarray, end: np.ndarray, unit: float) -> None:
    """A thin white arrow with a dark rim; none where the dots are too close for one."""
    length = math.dist(start, end)
    if length < 34 * unit:
        return
    along = (end - start) / length
    across = np.array([-along[1], along[0]])
    tip = end - along * 11 * unit  # at the target's rim
    for rim, colour in ((1.2 * unit, (30, 30, 30)), (0.0, OUTLINE)):
        base = tip - along * (11 * unit + rim)
        head = [tip + along * 2 * rim, base + across * (5 * unit + 1.5 * rim), base - across * (5 * unit + 1.5 * rim)]
        draw.line([tuple(start), tuple(tip - along * 8 * unit)], fill=(*colour, 255), width=round(2.4 * unit + 2 * rim))
        draw.polygon([tuple(p) for p in head], fill=(*colour, 255))
