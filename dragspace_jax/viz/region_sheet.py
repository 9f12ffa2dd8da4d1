"""What directions of a region do: images along each of them, and where they change with the region outlined."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_batches
from dragspace_jax.viz.grids import labelled_grid
from dragspace_jax.viz.heat import heat_map, squared_change
from dragspace_jax.viz.sheets import thumbnail, to_uint8

SPAN, STEPS = 4.0, 7
"""Published: positions from −4 to 4, multiples of a direction of unit length, in W of 512 dimensions."""
VISIBLE = 0.3
"""Mean squared change of the region, of RGB from −1 to 1 and in first order, at the ends of a row whose span nobody
gave: a large edit, which a narrower W reaches much earlier than the published span."""
_PROBE = 0.02  # of a direction, small enough for first order and large enough for float32
LAYERS = (4, 5, 6, 7)
"""Published: whose w is moved, from 0."""


def moved_latents(
    ws: Float[np.ndarray, "L D"], direction: Float[np.ndarray, " D"], positions: Sequence[float], layers: Sequence[int]
) -> Float[np.ndarray, "P L D"]:
    """The latents at positions along a direction, in some layers."""
    moves = np.zeros(len(ws))
    moves[list(layers)] = 1.0
    steps = np.asarray(positions)[:, None, None] * moves[None, :, None] * direction[None, None]
    return (ws[None] + steps).astype(np.float32)


def region_sheet(
    model: Generator,
    ws: Float[np.ndarray, "n L D"],
    regions: Bool[np.ndarray, "n H W"],
    directions: Float[np.ndarray, "n K D"],
    names: Sequence[str],
    *,
    span: float | None = None,
    layers: Sequence[int] = LAYERS,
    on_progress: Callable[[int], None] | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """A row a direction of each image, a column a position, and last the mean squared change, the region outlined.

    A row's text says how many times more a pixel of the region changes than one outside. Directions of length 0 are
    left out. The heat map goes from white, no change, to dark, the row's greatest.

    Args:
      model: the generator.
      ws: of n images.
      regions: true inside.
      directions: K of each image.
      names: n texts.
      span: the positions are `STEPS` from −span to span; None: of each direction so far that the region changes by
        `VISIBLE`, at most `SPAN`.
      layers: whose w is moved.
      on_progress: called with 1 after each row.

    Raises:
      ValueError: no direction at all.
    """
    rows, texts = [], []
    for latents, region, found, name in zip(ws, regions, directions, names, strict=True):
        for number, direction in enumerate(found, 1):
            if not direction.any():
                continue
            reach = _reach(model, latents, region, direction, layers) if span is None else span
            positions = np.linspace(-reach, reach, STEPS).tolist()
            images = np.concatenate(list(render_batches(model, moved_latents(latents, direction, positions, layers))))
            change = squared_change(images[STEPS // 2], images).mean(0)
            outside = change[~region].mean()
            ratio = change[region].mean() / outside if outside else np.inf
            rows.append(
                [
                    *map(thumbnail, to_uint8(images)),
                    thumbnail(heat_map(change, greatest=float(change.max()), region=region)),
                ]
            )
            texts.append(f"{name}\ndirection {number}\n± {reach:.3g}\nin/out {ratio:.3g}")
            if on_progress is not None:
                on_progress(1)
    half = STEPS // 2
    columns = [f"{step}/{half}" if step else "start" for step in range(-half, half + 1)]
    return labelled_grid(rows, rows=texts, columns=[*columns, "change"])


def _reach(
    model: Generator,
    ws: Float[np.ndarray, "L D"],
    region: Bool[np.ndarray, "H W"],
    direction: Float[np.ndarray, " D"],
    layers: Sequence[int],
) -> float:
    """How far a direction goes until the region has changed by `VISIBLE`, in first order; at most `SPAN`."""
    start, probed = np.concatenate(list(render_batches(model, moved_latents(ws, direction, [0.0, _PROBE], layers))))
    strength = squared_change(start, probed)[region].mean() / _PROBE**2
    return min(SPAN, float(np.sqrt(VISIBLE / strength))) if strength > 0 else SPAN
