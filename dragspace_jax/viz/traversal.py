"""What the components of a basis do to an image: a sheet of them, each from −2 to 2 standard deviations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from dragspace_jax.spaces import PCA
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_batches
from dragspace_jax.viz.grids import labelled_grid
from dragspace_jax.viz.sheets import to_uint8

POSITIONS = np.linspace(-2.0, 2.0, 9)
"""Standard deviations."""
_SIDE = 192  # of an image in the sheet, at most


def traversal_latents(model: Generator, basis: PCA, rows: int) -> np.ndarray:
    """The latents [rows, P, L, D] of the first components, at P positions each: from W's mean, in all layers."""
    components = np.asarray(basis.components)[:rows]
    deviations = np.sqrt(np.asarray(basis.variance)[:rows])
    steps = deviations[:, None, None, None] * POSITIONS.astype(np.float32)[None, :, None, None]
    return np.repeat(np.asarray(basis.mean) + steps * components[:, None, None], model.config.num_ws, axis=2)


def traversal_sheet(
    model: Generator,
    basis: PCA,
    *,
    rows: int,
    total: float | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """A row a component, with its share of the variance, and a column a position: uint8 [H, W, 3].

    Args:
      model: the generator.
      basis: its basis.
      rows: number of components, of which there may be fewer.
      total: the variance of everything; None: that of the basis.
      on_progress: called with the number of images done.
    """
    ws = traversal_latents(model, basis, rows)
    images: list[np.ndarray] = []
    for batch in render_batches(model, ws.reshape(-1, *ws.shape[2:])):
        images.extend(map(_small, to_uint8(batch)))
        if on_progress is not None:
            on_progress(len(images))
    variance = np.asarray(basis.variance, np.float64)
    shares = variance[: len(ws)] / (variance.sum() if total is None else total)
    return labelled_grid(
        [images[start : start + len(POSITIONS)] for start in range(0, len(images), len(POSITIONS))],
        rows=[f"{number}\n{share:.1%}" for number, share in enumerate(shares, 1)],
        columns=["mean" if position == 0 else f"{position:+.2g} sd" for position in POSITIONS],
    )


def _small(image: np.ndarray) -> np.ndarray:
    if image.shape[0] <= _SIDE:
        return image
    return np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
