"""What an edit kept of its image: SSIM and PSNR to the start, inside and outside the region that was meant to move."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity  # of skimage.metrics, PSNR alone would import scipy.stats: 0.5 s

_RANGE = 2.0  # images are in [-1, 1]
_WINDOW = 11  # px, of SSIM
_MOST_DB = 99.0  # of equal images, where PSNR is infinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preservation:
    """SSIM (1: equal) and PSNR in dB, over the pixels inside and outside a region; nan where there are none.

    SSIM is nan of images smaller than its window of 11 px as well.
    """

    ssim_inside: float
    ssim_outside: float
    psnr_inside: float
    psnr_outside: float


def preservation(before: np.ndarray, after: np.ndarray, region: np.ndarray) -> Preservation:
    """Compare two images inside and outside a region.

    SSIM is scikit-image's, with the Gaussian window of the paper (Wang et al. 2004), averaged over the pixels of each
    part; a pixel's value looks 5 px around it, over the region's border as well.

    Args:
      before, after: [H, W, 3] in [-1, 1]; values outside are clipped, as a picture would have it.
      region: bool [H, W], True inside.

    Raises:
      ValueError: shapes that do not fit.
    """
    if before.shape != after.shape or before.shape[:2] != region.shape:
        raise ValueError(f"images {before.shape} and {after.shape} and region {region.shape} must be of one size")
    first, second = (np.clip(np.asarray(image, np.float32), -1.0, 1.0) for image in (before, after))
    inside, similarity = np.asarray(region, bool), np.full_like(first, np.nan)
    if min(region.shape) >= _WINDOW:
        compared: Any = structural_similarity(
            first,
            second,
            channel_axis=-1,
            data_range=_RANGE,
            gaussian_weights=True,
            use_sample_covariance=False,
            full=True,
        )
        similarity = compared[1]
    return Preservation(
        ssim_inside=_mean(similarity, inside),
        ssim_outside=_mean(similarity, ~inside),
        psnr_inside=_decibels(first, second, inside),
        psnr_outside=_decibels(first, second, ~inside),
    )


def _mean(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].mean()) if where.any() else float("nan")


def _decibels(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> float:
    if not where.any():
        return float("nan")
    error = np.mean(np.square(first[where] - second[where]), dtype=np.float64)
    return min(_MOST_DB, float(10.0 * np.log10(_RANGE**2 / error))) if error > 0 else _MOST_DB
