"""What an edit along a direction changes inside a region and outside, at an equal change of one of the two."""

from __future__ import annotations

import numpy as np

from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.heat import squared_change
from dragspace_jax.viz.region_sheet import moved_latents

LEVELS = (3e-3, 3e-2)
"""Mean squared changes, of RGB from −1 to 1, at which methods are compared: one that is seen, and a large one."""


def change_elsewhere(
    model: Generator,
    ws: np.ndarray,
    where: np.ndarray,
    direction: np.ndarray,
    strength: float,
    layers: tuple[int, ...],
    positions: int,
) -> list[float | None]:
    """The mean squared change elsewhere where that of `where` is each of `LEVELS`: the mean of both ways.

    Args:
      model: the generator.
      ws: [L, D] of the image.
      where: [H, W], the pixels whose change is set.
      direction: [D].
      strength: mean squared change of `where` by one unit of the direction in first order: where to look.
      layers: that are moved.
      positions: on either side of the image.

    Returns:
      For every level; None if the edit does not get there either way.
    """
    length = np.linalg.norm(direction)
    if not (length > 0 and strength > 0):
        return [None] * len(LEVELS)
    steps = np.geomspace(np.sqrt(LEVELS[0] / strength) / 3, np.sqrt(LEVELS[-1] / strength) * 6, positions)
    images = render_images(model, moved_latents(ws, direction, [0.0, *steps, *-steps], layers))
    change = squared_change(images[0], images[1:]).reshape(2, positions, *where.shape)
    found: list[list[float]] = [[] for _ in LEVELS]
    for way in change:
        within, beyond = way[:, where].mean(1), way[:, ~where].mean(1)
        for level, values in zip(LEVELS, found, strict=True):
            first = int(np.argmax(within >= level))
            if within[first] < level or first == 0:
                continue
            ends = slice(first - 1, first + 1)
            values.append(float(np.exp(np.interp(np.log(level), np.log(within[ends]), np.log(beyond[ends])))))
    return [float(np.mean(values)) if values else None for values in found]
