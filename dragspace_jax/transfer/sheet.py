"""Sheets of an alignment and of a transfer: rows of images in the source and in the target, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dragspace_jax.analysis.agreement import cosines
from dragspace_jax.analysis.align import Alignment
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.transfer.edits import DraggedEdits
from dragspace_jax.transfer.latents import every_layer
from dragspace_jax.transfer.repeat import RepeatedEdits
from dragspace_jax.viz.points import draw_points
from dragspace_jax.viz.sheets import BACKGROUND, INK, contact_sheet, to_uint8

ROWS = 12
_SIDE = 224
_HEADER = 40
_DEVIATIONS = 2.0  # how far along the first component the sheet without edits goes


def edit_sheet(
    source: Generator, target: Generator, dragged: DraggedEdits, repeated: Mapping[str, RepeatedEdits]
) -> np.ndarray:
    """Drags and what they do to the aligned images, uint8 [H, W, 3].

    Red is the landmark as predicted; blue where it should go: the drag's target, and in the aligned images the landmark
    of the image before, moved as the source's landmark was.

    Args:
      source, target: the models.
      dragged: the edits; the first `ROWS` are shown.
      repeated: by map, the edits repeated.
    """
    rows = min(ROWS, len(dragged.plans))
    targets = np.stack([plan.target_yx for plan in dragged.plans])
    start = every_layer(source, dragged.start)
    ended = start.copy()
    ended[:, : dragged.moved.shape[1]] += dragged.moved
    columns = [
        _marked(source, start[:rows], dragged.before_yx, targets),
        _marked(source, ended[:rows], dragged.after_yx, targets),
    ]
    labels = [
        [plan.what.landmark.replace("_", " ") for plan in dragged.plans[:rows]],
        [f"{outcome}, {steps}" for outcome, steps in zip(dragged.outcomes, dragged.steps, strict=True)],
    ]
    for each in repeated.values():
        wanted = each.before_yx + dragged.way
        columns += [
            _marked(target, each.before[:rows], each.before_yx, wanted),
            _marked(target, each.after[:rows], each.after_yx, wanted),
        ]
        labels += [
            ["" for _ in dragged.plans],
            [f"cosine {value:.2f}" for value in cosines(dragged.way, each.way)],
        ]
    return titled_sheet(columns, ["source", "dragged", *_titles(repeated)], labels)


def component_sheet(
    source: Generator, target: Generator, alignments: Mapping[str, Alignment], w: np.ndarray, layers: int
) -> np.ndarray:
    """Moves along the source's first component from latents w [n, D1], and what the maps make of them; as above."""
    w = w[:ROWS]
    basis = next(iter(alignments.values())).source
    step = _DEVIATIONS * np.sqrt(basis.variance[0]) * basis.components[0]
    columns: list[list[np.ndarray]] = []
    for model, latents, moved in (
        (source, w, step),
        *((target, each.apply(w), each.displacement(step)) for each in alignments.values()),
    ):
        before = every_layer(model, latents)
        after = before.copy()
        after[:, :layers] += moved.astype(np.float32)
        columns += [plain_images(model, before), plain_images(model, after)]
    return titled_sheet(columns, ["source", "moved", *_titles(alignments)])


def plain_images(model: Generator, ws: np.ndarray) -> list[np.ndarray]:
    """Images of ws [n, L, D] in the size of a sheet's, uint8 [S, S, 3]."""
    return [_sized(image) for image in to_uint8(render_images(model, ws))]


def titled_sheet(
    columns: Sequence[Sequence[np.ndarray]], titles: Sequence[str], labels: Sequence[Sequence[str]] | None = None
) -> np.ndarray:
    """Columns of images side by side under their titles, with a label below each image, uint8 [H, W, 3]."""
    rows = len(columns[0])
    images = [column[row] for row in range(rows) for column in columns]
    texts = None if labels is None else [column[row] for row in range(rows) for column in labels]
    sheet = contact_sheet(images, columns=len(columns), labels=texts)
    titled = Image.new("RGB", (sheet.shape[1], sheet.shape[0] + _HEADER), BACKGROUND)
    titled.paste(Image.fromarray(sheet), (0, _HEADER))
    draw, font = ImageDraw.Draw(titled), ImageFont.load_default(size=24)
    width = sheet.shape[1] / len(columns)
    for number, title in enumerate(titles):
        draw.text(((number + 0.5) * width, _HEADER / 2), title, fill=INK, font=font, anchor="mm")
    return np.asarray(titled)


def _titles(maps: Mapping[str, object]) -> list[str]:
    return [title for method in maps for title in (method, "same edit")]


def _marked(model: Generator, ws: np.ndarray, points_yx: np.ndarray, targets_yx: np.ndarray) -> list[np.ndarray]:
    """Images of ws [n, L, D] with their first n points and targets [·, 2]."""
    return [
        _sized(draw_points(image, point[None, ::-1], target[None, ::-1]))
        for image, point, target in zip(to_uint8(render_images(model, ws)), points_yx, targets_yx, strict=False)
    ]


def _sized(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
