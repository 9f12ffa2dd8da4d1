"""Pictures as input: masks, regions and label maps, checked against the model's size before a pixel is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32
from PIL import Image, UnidentifiedImageError

from dragspace_jax.inputs import InputError


def read_mask(path: str | Path, *, side: int, invert: bool) -> np.ndarray:
    """A picture of side×side pixels → [H, W] float32: 1 (white) where the image must stay; `invert` swaps.

    Raises:
      InputError: no such file, not a whole picture, or not of the model's size.
    """
    white = _white(path, "mask", side)
    return (~white if invert else white).astype(np.float32)


def read_region(path: str | Path, *, side: int) -> Bool[np.ndarray, "H W"]:
    """A picture of side×side pixels → true (white) where the image may change. Raises InputError as `read_mask`."""
    return _white(path, "region", side)


def read_labels(path: str | Path, *, side: int) -> Int32[np.ndarray, "H W"]:
    """A label map: a picture of side×side pixels that has one number a pixel, the id of the pixel's segment.

    Grey values, of 8 or 16 bits, are ids as they are; of a picture with a palette the entries' numbers are.

    Raises:
      InputError: no such file, not a whole picture, not of the model's size, or in colours.
    """
    labels = _pixels(path, "segments", side, np.asarray)
    if labels.ndim != 2 or labels.dtype.kind not in "bui":
        raise InputError(
            f"segments {path}: not a label map but a picture in colours; one whole number a pixel is needed"
        )
    return labels.astype(np.int32)


def _white(path: str | Path, what: str, side: int) -> np.ndarray:
    return _pixels(path, what, side, lambda picture: np.asarray(picture.convert("L")) > 127)


def _pixels(path: str | Path, what: str, side: int, read: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    """What `read` makes of a picture, whose size is known before a pixel is decoded: any other is refused at once."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{what} {path}: no such file")
    try:
        with _open_unbounded(path) as picture:
            width, height = picture.size
            if (width, height) != (side, side):
                raise InputError(
                    f"{what} {path}: the {what} has shape {width}×{height} pixels; the model's images are {side}×{side}"
                )
            return read(picture)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{what} {path}: not a picture") from error
    # What Pillow's readers let through for damaged files, besides OSError.
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:
        raise InputError(f"{what} {path}: not a whole picture ({error})") from error


def _open_unbounded(path: Path) -> Image.Image:
    """`Image.open` without its limit (and warning) on the size: only the header is read, and the caller checks."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        return Image.open(path)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
