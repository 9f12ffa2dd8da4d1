"""What changed of an image away from where it was asked to: mean squared differences of small pictures, weighted."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

SIDE = 32
"""Of the picture that changes are measured on, at most: what should stay is seen there, and noise is not."""
_SIGMA = 10 / 128  # of the image's side


def reduction(side: int) -> int:
    """By how much an image of `side` is made smaller: to `SIDE` at most, in whole boxes."""
    return next(factor for factor in range(max(1, side // SIDE), side + 1) if side % factor == 0)


def box_averaged(image: Float[np.ndarray, "H H *C"], size: int) -> Float[np.ndarray, "S S *C"]:
    """The means of the boxes that make up an image; `size` divides its side."""
    box = image.shape[0] // size
    return image.reshape(size, box, size, box, *image.shape[2:]).mean((1, 3))


def away_from(
    handles_yx: Float[np.ndarray, "N 2"], targets_yx: Float[np.ndarray, "N 2"], side: int, size: int
) -> Float[np.ndarray, "S S"]:
    """Weights of pixels that spare the surroundings of the handles that move: the product of 1 − exp(−(d/σ)²/2).

    d is the distance from the way handle → target, σ 10 px of a 128 px image and half the way's length. A handle whose
    target is its place asks for nothing to change there, so it spares nothing.

    Args:
      handles_yx, targets_yx: pixels of the image.
      side: of the image.
      size: of the smaller image that the weights are for.
    """
    centre = (np.arange(size) + 0.5) * (side / size) - 0.5
    pixels = np.stack(np.meshgrid(centre, centre, indexing="ij"), -1)
    keep = np.ones((size, size))
    for handle, target in zip(handles_yx.astype(np.float64), targets_yx.astype(np.float64), strict=True):
        way = target - handle
        if not way.any():
            continue
        along = np.clip((pixels - handle) @ way / (way @ way), 0.0, 1.0)
        apart = np.linalg.norm(pixels - handle - along[..., None] * way, axis=-1)
        sigma = _SIGMA * side + 0.5 * np.linalg.norm(way)
        keep *= 1.0 - np.exp(-0.5 * np.square(apart / sigma))
    return keep


def weighted_mean(values: Float[np.ndarray, "S S"], weights: Float[np.ndarray, "S S"]) -> float:
    """The mean of values by weights; not all of these are zero."""
    return float(np.sum(weights * values) / np.sum(weights))
