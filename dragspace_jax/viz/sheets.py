"""Images side by side: arrays of pictures to one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACKGROUND = (255, 255, 255)
INK = (40, 40, 40)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Float images in [-1, 1] (clipped) → uint8 of the same shape, rounded to the nearest; not-a-number is black."""
    scaled = np.asarray(images, np.float32) * 127.5 + 128.0
    return np.clip(np.nan_to_num(scaled, nan=0.0), 0.0, 255.0).astype(np.uint8)


def enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """Enlarge uint8 [H, W, 3] by the smallest whole factor that makes it at least `side` high."""
    factor = enlargement(image, side)
    if factor == 1:
        return image
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def enlargement(image: np.ndarray, side: int) -> int:
    """The factor that `enlarged` uses."""
    return max(1, math.ceil(side / image.shape[0]))


def thumbnail(image: np.ndarray, side: int = 160) -> np.ndarray:
    """Shrink a square uint8 [H, H, 3] that is larger than `side`."""
    if image.shape[0] <= side:
        return image
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))


def contact_sheet(
    images: np.ndarray | Sequence[np.ndarray],
    *,
    columns: int | None = None,
    labels: Sequence[str] | None = None,
    padding: int = 4,
) -> np.ndarray:
    """Lay uint8 images [n, H, W, 3] out in rows, labels below each.

    Args:
      images: n ≥ 1 images of one size.
      columns: images in a row; None makes the sheet about square.
      labels: n short texts, of one or more lines, or None.
      padding: white pixels around every image.

    Returns:
      The sheet, uint8 [H', W', 3].

    Raises:
      ValueError: no images, or not as many labels as images.
    """
    if len(images) == 0:
        raise ValueError("a contact sheet needs at least one image")
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"{len(labels)} labels for {len(images)} images")
    height, width = images[0].shape[:2]
    columns = min(len(images), math.ceil(math.sqrt(len(images))) if columns is None else columns)
    rows = math.ceil(len(images) / columns)
    font = _font(min(height, width) // 9)
    strip = 0 if labels is None else _line_height(font) * max(label.count("\n") + 1 for label in labels)
    cell_width, cell_height = width + padding, height + strip + padding
    sheet = Image.new("RGB", (columns * cell_width + padding, rows * cell_height + padding), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, image in enumerate(images):
        x = padding + index % columns * cell_width
        y = padding + index // columns * cell_height
        sheet.paste(Image.fromarray(image), (x, y))
        if labels is not None:
            place = (x + width / 2, y + height + strip / 2)
            draw.text(place, labels[index], fill=INK, font=font, anchor="mm", align="center")
    return np.asarray(sheet)


def side_by_side(images: Sequence[np.ndarray], *, titles: Sequence[str] | None = None) -> np.ndarray:
    """Before and after: uint8 images of one size in a row, a gap between, titles below."""
    return contact_sheet(images, columns=len(images), labels=titles, padding=max(4, images[0].shape[0] // 64))


def _font(height: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=min(max(height, 10), 24))


def _line_height(font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> int:
    _, top, _, bottom = font.getbbox("Ég")
    return math.ceil((bottom - top) * 1.4)
