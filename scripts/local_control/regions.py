"""Regions of the study, as the predictor sees them, and badly marked ones; with the Gram matrices of all at once."""

from __future__ import annotations

import dataclasses

import numpy as np

from dragspace_jax.analysis.jacobian import Channels
from dragspace_jax.analysis.local import pixel_grams
from dragspace_jax.critters.segments import SegmentError, named_region, seen_segments
from dragspace_jax.stylegan2 import Generator, Latents

REGIONS = {
    "eye": ("eye",),
    "ear": ("ear",),
    "mouth": ("mouth", "muzzle"),
    "head": ("face", "ear"),
    "background": ("background",),
}
EXACT = "the segment"
_MOST = 6 * len(REGIONS)  # shapes of an image, as `variants` makes them
Grams = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """A region of one image.

    Attributes:
      inside: [H, W], true there.
      published: {variant of the region: its Gram matrices [D, D] and the rest's}, of the mean over RGB, all layers.
      edited: likewise, of RGB, in the layers that are moved.
    """

    inside: np.ndarray
    published: dict[str, Grams]
    edited: dict[str, Grams]


def regions_of(model: Generator, ws: np.ndarray, layers: tuple[int, ...]) -> dict[str, Region]:
    """{name: region} of what is seen on the image of ws [L, D]."""
    seen = seen_segments(model, Latents(ws=ws[None]))[0]
    found: dict[str, np.ndarray] = {}
    for name, segments in REGIONS.items():
        try:
            found[name] = named_region(seen, segments)
        except SegmentError:
            continue
    shapes = {name: variants(inside) for name, inside in found.items()}
    flat = [shape for each in shapes.values() for shape in each.values()]
    measures = [_all(model, ws, flat, "mean", None), _all(model, ws, flat, "each", layers)]
    regions, start = {}, 0
    for name, each in shapes.items():
        published, edited = (dict(zip(each, pairs[start : start + len(each)], strict=True)) for pairs in measures)
        regions[name] = Region(inside=found[name], published=published, edited=edited)
        start += len(each)
    return regions


def variants(inside: np.ndarray) -> dict[str, np.ndarray]:
    """The segment, and what somebody might mark instead: boxes, a point, a quarter of the image."""
    side = len(inside)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    # The marked pixel nearest to the middle of them all: a segment may have a hole there.
    marked = np.argwhere(inside)
    y, x = marked[np.argmin(np.square(marked - marked.mean(0)).sum(1))].tolist()
    y, x = min(y, side - 2), min(x, side - 2)
    half = side // 2
    found = {
        EXACT: inside,
        "its box": _box(side, top, left, height, width),
        "the box, half of it aside": _box(side, top + height // 4, left + width // 2, height, width),
        "the box, half as wide and high": _box(side, top + height // 4, left + width // 4, height // 2, width // 2),
        "a point of 2 × 2 px": _box(side, y, x, 2, 2),
        "a quarter of the image": _box(
            side, min(max(y - half // 2, 0), half), min(max(x - half // 2, 0), half), half, half
        ),
    }
    return {name: shape for name, shape in found.items() if shape.any() and not shape.all()}


def _box(side: int, top: int, left: int, height: int, width: int) -> np.ndarray:
    box = np.zeros((side, side), bool)
    box[top : top + max(height, 1), left : left + max(width, 1)] = True
    return box


def _all(
    model: Generator, ws: np.ndarray, shapes: list[np.ndarray], channels: Channels, layers: tuple[int, ...] | None
) -> list[Grams]:
    """The matrices of every shape and of what lies outside it, from one Jacobian."""
    weights = np.zeros((1 + _MOST, *shapes[0].shape), np.float32)  # always as many: one program
    weights[0] = 1.0
    weights[1 : 1 + len(shapes)] = shapes
    whole, *sums = pixel_grams(model, ws, weights, channels=channels, layers=layers)
    sums = sums[: len(shapes)]
    shares = [shape.mean() for shape in shapes]
    return [(each / share, (whole - each) / (1 - share)) for each, share in zip(sums, shares, strict=True)]
