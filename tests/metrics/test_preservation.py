"""SSIM and PSNR inside and outside a region, and the distance to W's distribution."""

from __future__ import annotations

import numpy as np
import pytest

from dragspace_jax.metrics.distance import mahalanobis
from dragspace_jax.metrics.preservation import preservation

REGION = np.zeros((48, 48), bool)
REGION[:, :20] = True


@pytest.fixture
def before() -> np.ndarray:
    y, x = np.mgrid[:48, :48] / 48.0
    return np.stack([np.sin(7 * x), np.cos(5 * y), x * y], -1).astype(np.float32) * 0.8


def test_equal_images(before: np.ndarray) -> None:
    kept = preservation(before, before, REGION)
    assert kept.ssim_inside == pytest.approx(1.0)
    assert kept.ssim_outside == pytest.approx(1.0)
    assert (kept.psnr_inside, kept.psnr_outside) == (99.0, 99.0)


def test_a_change_counts_where_it_is(before: np.ndarray) -> None:
    after = before.copy()
    after[:, :10] += 0.2 * np.random.RandomState(0).standard_normal((48, 10, 3)).astype(np.float32)
    kept = preservation(before, after, REGION)
    assert kept.ssim_inside < 0.9
    assert kept.ssim_outside == pytest.approx(1.0, abs=1e-6)  # ten pixels off, farther than the window reaches
    assert kept.psnr_outside == 99.0
    inside = np.clip(after, -1, 1)[REGION] - before[REGION]
    assert kept.psnr_inside == pytest.approx(10 * np.log10(4.0 / np.mean(np.square(inside, dtype=np.float64))))


def test_no_pixels_have_no_figure(before: np.ndarray) -> None:
    kept = preservation(before, before, np.ones((48, 48), bool))
    assert np.isnan(kept.ssim_outside)
    assert np.isnan(kept.psnr_outside)
    with pytest.raises(ValueError, match="of one size"):
        preservation(before, before, np.ones((48, 47), bool))


def test_mahalanobis_of_samples_is_one() -> None:
    random = np.random.RandomState(0)
    components = np.linalg.qr(random.randn(6, 6))[0]
    variance, mean = np.array([9.0, 4.0, 1.0, 0.5, 0.1, 0.01]), random.randn(6)
    samples = mean + (random.randn(4000, 2, 6) * np.sqrt(variance)) @ components
    found = mahalanobis(samples, mean, components, variance)
    assert found.shape == (4000,)
    assert np.sqrt(np.mean(found**2)) == pytest.approx(1.0, abs=0.02)
    assert mahalanobis(mean[None] + 3.0 * components[:1], mean, components, variance) == pytest.approx(
        np.sqrt(1.0 / 6.0)
    )
    with pytest.raises(ValueError, match="no variance"):
        mahalanobis(samples, mean, components, variance * 0)


def test_images_smaller_than_its_window_have_no_ssim() -> None:
    image = np.zeros((8, 8, 3), np.float32)
    kept = preservation(image, image, np.ones((8, 8), bool))
    assert np.isnan(kept.ssim_inside)
    assert kept.psnr_inside == 99.0
