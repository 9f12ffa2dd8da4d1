"""A batch's sheet: its pictures on one page, each with what its quality says."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from dragspace_jax.batch.resume import Earlier
from dragspace_jax.drag.quality import Quality
from dragspace_jax.results import save_image
from dragspace_jax.viz.sheets import BACKGROUND, contact_sheet

Order = Literal["file", "quality"]
MOST = 64
"""Pictures of a sheet."""
_HEIGHT = 224  # of a picture on it
_GLYPH = 12  # width of a caption's, about


def write_sheet(out: Path, order: Order) -> None:
    """Write sheet.png of the pictures in a batch's folder, 64 at most; none if there is no picture.

    Args:
      out: the folder.
      order: `file`: as the lines of the edits file; `quality`: the worst first, edits without quality last.

    Raises:
      OSError: a file cannot be read or written; the error names it.
    """
    records = Earlier(out, resume=True, overwrite=False).records
    shown = [record for record in records if "image" in record and (out / record["image"]).is_file()]
    shown = sorted(shown, key=_line if order == "file" else _goodness)[:MOST]
    if not shown:
        return
    with Image.open(out / shown[0]["image"]) as first:
        size = ImageOps.contain(first, (4 * _HEIGHT, _HEIGHT)).size
    images = [_sized(out / record["image"], size) for record in shown]
    labels = ["\n".join(textwrap.wrap(_caption(record), size[0] // _GLYPH)) for record in shown]
    save_image(contact_sheet(images, labels=labels), out / "sheet.png")


def _line(record: dict[str, Any]) -> int:
    return record.get("line", 0)


def _goodness(record: dict[str, Any]) -> float:
    quality = Quality.of(record)
    return np.inf if quality is None else -quality.severity


def _caption(record: dict[str, Any]) -> str:
    quality = Quality.of(record)
    return f"{record['id']}: {record['outcome'] if quality is None else quality.brief}"


def _sized(path: Path, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    with Image.open(path) as image:
        return np.asarray(ImageOps.pad(image.convert("RGB"), size, color=BACKGROUND))
