"""A sheet of the study's first edits, by number: where they start, what solvers made of them, and the true result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from dragspace_jax.critters import render
from dragspace_jax.images import to_uint8
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.points import draw_points
from scripts.dragganspace.edits import StudyEdit

BLOCKS = 2  # edits side by side


def rows_of(
    model: Generator, kind: str, edits: list[StudyEdit], done: dict[str, Latents], count: int
) -> list[tuple[str, list[np.ndarray]]]:
    """Of the first `count` edits the name and pictures uint8 [H, W, 3]: the start with its points, solvers', the truth.

    Args:
      model: of the edits.
      kind: dog or cat.
      edits: in their order.
      done: {solver: results, ws [E, L, D]}.
      count: of rows.
    """
    draw = jax.jit(lambda attributes: render(kind, attributes[None], model.config.resolution).image)
    first = edits[:count]
    starts = to_uint8(render_images(model, np.stack([edit.ws for edit in first])))
    after = [
        to_uint8(render_images(model, jax.tree.map(lambda leaf: leaf[:count], latents))) for latents in done.values()
    ]
    rows = []
    for number, edit in enumerate(first):
        start = np.asarray(draw_points(starts[number], edit.handles_yx[:, ::-1], edit.targets_yx[:, ::-1]))
        truth = to_uint8(np.asarray(draw(jnp.asarray(edit.wanted))))[0]
        name = f"{kind}: {edit.name.replace('_', ' ')}"
        rows.append((name, [start, *(images[number] for images in after), truth]))
    return rows


def save_sheet(rows: list[tuple[str, list[np.ndarray]]], columns: list[str], path: Path) -> None:
    """Write the rows as a PNG, `BLOCKS` side by side; `columns` names the pictures of a row."""
    deep, wide = -(-len(rows) // BLOCKS), len(columns)
    figure = Figure(figsize=(1.25 * wide * BLOCKS, 1.4 * deep), layout="constrained")
    axes: Any = figure.subplots(deep, wide * BLOCKS, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (name, pictures) in enumerate(rows):
        block, row = divmod(number, deep)
        for column, picture in enumerate(pictures):
            axis = axes[row, block * wide + column]
            axis.imshow(picture)
            if column == 0:
                axis.set_title(name, fontsize=6, loc="left", pad=2)
            elif row == 0:
                axis.set_title(columns[column].replace(", ", ",\n"), fontsize=7, pad=2)
    figure.savefig(path, dpi=120)
