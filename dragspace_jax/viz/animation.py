"""An animated GIF of an edit: few frames, one palette, no flicker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

_MOST_FRAMES = 24
_COLOURS = 256
_PALETTE_FRAMES, _PALETTE_SIDE = 4, 64
"""So many frames, and of each so many rows and columns, give the palette; more take far longer and are no better."""


def frame_indices(steps: int, most: int = _MOST_FRAMES) -> list[int]:
    """At most `most` of `steps` (≥ 1), evenly chosen, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, steps - 1, min(steps, most))})


def save_gif(frames: Sequence[np.ndarray], path: str | Path, *, seconds: float = 2.0, hold: float = 1.2) -> None:
    """Write uint8 frames [H, W, 3] of one size as a GIF that repeats.

    All frames share one palette and an ordered dither, so that what stands still does not flicker.

    Args:
      frames: at least one; of more than 24, 24 are chosen evenly, the first and the last among them.
      path: the file.
      seconds: how long the movement takes.
      hold: how long the first frame (half of it) and the last one stand longer.
    """
    chosen = [np.asarray(frames[i]) for i in frame_indices(len(frames))]
    palette = _shared_palette(chosen)
    pattern = _dither_pattern(*chosen[0].shape[:2])
    dithered = (Image.fromarray(np.clip(frame + pattern, 0, 255).astype(np.uint8)) for frame in chosen)
    pictures = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in dithered]
    durations = [max(20, round(1000 * seconds / len(chosen)))] * len(chosen)
    durations[0] += round(500 * hold)
    durations[-1] += round(1000 * hold)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=False)


def _shared_palette(frames: Sequence[np.ndarray]) -> Image.Image:
    step = max(1, frames[0].shape[0] // _PALETTE_SIDE)
    some = frame_indices(len(frames), _PALETTE_FRAMES)
    strip = np.concatenate([frames[i][::step, ::step] for i in some], axis=1)
    return Image.fromarray(strip).quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1)


def _dither_pattern(height: int, width: int, strength: float = 5.0) -> np.ndarray:
    """What is added to every frame, int16 [H, W, 1]: a fixed 8×8 threshold pattern.

    Banding turns into a grain that stays in place from frame to frame.
    """
    bayer = np.zeros((1, 1))
    for _ in range(3):
        bayer = np.block([[4 * bayer, 4 * bayer + 2], [4 * bayer + 3, 4 * bayer + 1]])
    pattern = np.rint(strength * ((bayer + 0.5) / bayer.size - 0.5)).astype(np.int16)
    return np.tile(pattern, (height // 8 + 1, width // 8 + 1))[:height, :width, None]
