"""Images in a grid that has names on two sides: a row each of one thing, a column each of another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dragspace_jax.viz.sheets import BACKGROUND, INK


def labelled_grid(
    images: np.ndarray | Sequence[Sequence[np.ndarray]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    padding: int = 2,
) -> np.ndarray:
    """Lay uint8 images [R, C, H, W, 3] out in R rows and C columns.

    Args:
      images: of one size.
      rows: R texts to the left of the rows, of one or more lines.
      columns: C short texts above the columns.
      padding: white pixels between images.

    Returns:
      The sheet, uint8 [H', W', 3].

    Raises:
      ValueError: no images, or not as many texts as rows and columns.
    """
    if not len(images) or not len(images[0]):
        raise ValueError("a grid needs at least one image")
    if len(rows) != len(images) or any(len(columns) != len(row) for row in images):
        raise ValueError(f"{len(rows)} rows and {len(columns)} columns are named; the images are others")
    height, width = images[0][0].shape[:2]
    font = ImageFont.load_default(size=min(max(min(height, width) // 8, 11), 24))
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [measure.multiline_textbbox((0, 0), text, font=font) for text in rows]
    gap = max(4, width // 16)
    left = math.ceil(max(box[2] for box in boxes)) + 2 * gap
    top = math.ceil(measure.textbbox((0, 0), "Ég", font=font)[3]) + gap
    sheet = Image.new(
        "RGB",
        (left + len(columns) * (width + padding), top + len(rows) * (height + padding)),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(sheet)
    for column, text in enumerate(columns):
        draw.text((left + column * (width + padding) + width / 2, top / 2), text, fill=INK, font=font, anchor="mm")
    for row, text in enumerate(rows):
        y = top + row * (height + padding)
        draw.multiline_text((left - gap, y + height / 2), text, fill=INK, font=font, anchor="rm", align="right")
        for column, image in enumerate(images[row]):
            sheet.paste(Image.fromarray(image), (left + column * (width + padding), y))
    return np.asarray(sheet)
