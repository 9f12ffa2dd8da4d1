"""The sheet of an alignment: rows of an edit in the source, and of the aligned images before and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dragspace_jax.analysis.agreement import cosines
from dragspace_jax.analysis.align import Alignment
from dragspace_jax.cli.align_edits import Dragged
from dragspace_jax.cli.align_judge import every_layer
from dragspace_jax.cli.align_transfer import Moved
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.points import draw_points
from dragspace_jax.viz.sheets import BACKGROUND, INK, contact_sheet, to_uint8

ROWS = 12
_SIDE = 224
_HEADER = 40
_DEVIATIONS = 2.0  # how far along the first component the sheet without edits goes


def edit_sheet(source: Generator, target: Generator, dragged: Dragged, moves: Mapping[str, Moved]) -> np.ndarray:
    """Drags and what they do to the aligned images, uint8 [H, W, 3].

    Red is the landmark as the predictor sees it; blue where it should go: the drag's target, and in the aligned images
    the landmark of the image before, moved as the source's landmark was.

    Args:
      source, target: the models.
      dragged: the edits; the first `ROWS` are shown.
      moves: by map, the edits repeated.
    """
    rows = min(ROWS, len(dragged.plans))
    targets = np.stack([plan.target_yx for plan in dragged.plans])
    way = dragged.after_yx - dragged.before_yx
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
    for moved in moves.values():
        wanted = moved.before_yx + way
        columns += [
            _marked(target, moved.before[:rows], moved.before_yx, wanted),
            _marked(target, moved.after[:rows], moved.after_yx, wanted),
        ]
        labels += [
            ["" for _ in way],
            [f"cosine {value:.2f}" for value in cosines(way, moved.after_yx - moved.before_yx)],
        ]
    return _sheet(columns, labels, ["source", "dragged"], moves)


def component_sheet(
    source: Generator, target: Generator, alignments: Mapping[str, Alignment], w: np.ndarray, layers: int
) -> np.ndarray:
    """Moves along the source's first component from latents w [n, D1], and what the maps make of them; as above."""
    w = w[:ROWS]
    chart = next(iter(alignments.values())).source
    step = _DEVIATIONS * np.sqrt(chart.variance[0]) * chart.components[0]
    columns: list[list[np.ndarray]] = []
    for model, latents, moved in (
        (source, w, step),
        *((target, each.apply(w), each.displacement(step)) for each in alignments.values()),
    ):
        before = every_layer(model, latents)
        after = before.copy()
        after[:, :layers] += moved.astype(np.float32)
        columns += [_plain(model, before), _plain(model, after)]
    return _sheet(columns, None, ["source", "moved"], alignments)


def _plain(model: Generator, ws: np.ndarray) -> list[np.ndarray]:
    return [_sized(image) for image in to_uint8(render_images(model, ws))]


def _marked(model: Generator, ws: np.ndarray, points_yx: np.ndarray, targets_yx: np.ndarray) -> list[np.ndarray]:
    """Images of ws [n, L, D] with their first n points and targets [·, 2]."""
    return [
        _sized(draw_points(image, point[None, ::-1], target[None, ::-1]))
        for image, point, target in zip(to_uint8(render_images(model, ws)), points_yx, targets_yx, strict=False)
    ]


def _sized(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def _sheet(
    columns: Sequence[Sequence[np.ndarray]],
    labels: Sequence[Sequence[str]] | None,
    first: Sequence[str],
    maps: Mapping[str, object],
) -> np.ndarray:
    """Columns of images side by side under their titles, with a label below each image."""
    rows = len(columns[0])
    images = [column[row] for row in range(rows) for column in columns]
    texts = None if labels is None else [column[row] for row in range(rows) for column in labels]
    sheet = contact_sheet(images, columns=len(columns), labels=texts)
    titled = Image.new("RGB", (sheet.shape[1], sheet.shape[0] + _HEADER), BACKGROUND)
    titled.paste(Image.fromarray(sheet), (0, _HEADER))
    draw, font = ImageDraw.Draw(titled), ImageFont.load_default(size=24)
    width = sheet.shape[1] / len(columns)
    titles = [*first, *(title for kind in maps for title in (kind, "same edit"))]
    for number, title in enumerate(titles):
        draw.text(((number + 0.5) * width, _HEADER / 2), title, fill=INK, font=font, anchor="mm")
    return np.asarray(titled)
