"""Where an image changed: a heat map of the mean squared change, the region outlined, and its legend."""

from __future__ import annotations

import numpy as np
import scipy  # which imports `ndimage` when it is asked for
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from dragspace_jax.viz.sheets import BACKGROUND, INK

_COLOURS = np.array([(255, 255, 255), (255, 214, 122), (240, 110, 50), (150, 20, 60), (30, 0, 40)], np.float64)
_OUTLINE = (38, 108, 235)
_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


def squared_change(before: Float[np.ndarray, "H W C"], after: Float[np.ndarray, "... H W C"]) -> np.ndarray:
    """Mean over RGB of the squared difference of images in [−1, 1]: [..., H, W]; what is clipped is not seen."""
    difference = np.clip(after, -1, 1).astype(np.float64) - np.clip(before, -1, 1).astype(np.float64)
    return np.mean(np.square(difference), -1)


def heat_map(
    change: Float[np.ndarray, "H W"], *, greatest: float, region: Bool[np.ndarray, "H W"] | None = None
) -> UInt8[np.ndarray, "H W 3"]:
    """A squared change by its root, from white (none) to dark (`greatest` and more), and a blue line round a region."""
    share = np.sqrt(np.clip(change / greatest, 0, 1)) if greatest > 0 else np.zeros(change.shape)
    colours = _coloured(share)
    if region is not None:
        colours[np.asarray(scipy.ndimage.binary_dilation(region)) & ~region] = _OUTLINE
    return colours


def with_legend(picture: UInt8[np.ndarray, "H W 3"], greatest: float, *, outlined: bool) -> UInt8[np.ndarray, "_ W 3"]:
    """A picture with the colours of its heat maps explained below: a bar with numbers, and what they are."""
    width = picture.shape[1]
    font = ImageFont.load_default(size=12)
    line = 16
    texts = ["mean squared change", "of RGB from -1 to 1"]
    texts += ["blue line: the region"] if outlined else []
    beside = width >= 420  # the words stand right of the bar, or below it
    long = min(240, width - 24)
    rows = max(2, len(texts)) if beside else 2 + len(texts)
    strip = Image.new("RGB", (width, rows * line + 14), BACKGROUND)
    bar = _coloured(np.broadcast_to(np.linspace(0, 1, long), (12, long)))
    draw = ImageDraw.Draw(strip)
    draw.rectangle((11, 5, 12 + long, 18), outline=INK)
    strip.paste(Image.fromarray(bar), (12, 6))
    for share in _STEPS if long >= 200 else (0.0, 1.0):
        x = 12 + share * (long - 1)
        anchor = "la" if share == 0 else "ra" if share == 1 else "ma"
        draw.text((x, 21), f"{greatest * share**2:.2g}", fill=INK, font=font, anchor=anchor)
    for row, text in enumerate(texts):
        place = (24 + long, 4 + row * line) if beside else (12, 6 + (2 + row) * line)
        draw.text(place, text, fill=INK, font=font)
    return np.concatenate([picture, np.asarray(strip)])


def _coloured(share: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    stops = np.linspace(0.0, 1.0, len(_COLOURS))
    return np.stack([np.interp(share, stops, channel) for channel in _COLOURS.T], -1).round().astype(np.uint8)
