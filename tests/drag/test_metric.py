"""The metric of a model: kept, measured again where its file is damaged, and weighed by cells."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.drag import metric
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator


@pytest.fixture
def space(tiny_generator: Generator) -> PCA:
    return dataclasses.replace(cached_pca(tiny_generator).truncated(2).whitened(), layers=3)


def test_it_is_what_the_picture_changes(tiny_generator: Generator, space: PCA, tmp_path: Path, monkeypatch) -> None:
    """All cells together: the mean squared difference of pictures a little apart, averaged over the samples."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    whole = metric.model_metric(tiny_generator, space).sum(0)
    assert whole.shape == (6, 6)
    z = jnp.asarray(np.random.RandomState(0).randn(metric.SAMPLES, 16), jnp.float32)
    ws, step = tiny_generator.mapping(z), np.zeros(6, np.float32)
    step[4] = 1e-2

    @jax.jit
    def pictures(sign: jax.Array) -> jax.Array:
        moved = space.displaced(sign * step) - space.displaced(jnp.zeros(6))
        image = tiny_generator.synthesis(ws.at[:, :3].add(moved[None])).image
        assert image is not None
        return image

    change = (np.asarray(pictures(jnp.float32(1))) - np.asarray(pictures(jnp.float32(-1)))) / 2e-2
    np.testing.assert_allclose(whole[4, 4], np.square(change).mean(), rtol=2e-3)


def test_it_is_kept_and_a_damaged_file_is_measured_again(
    tiny_generator: Generator, space: PCA, tmp_path: Path, monkeypatch, caplog
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    metric._loaded.clear()
    first = metric.model_metric(tiny_generator, space)
    (file,) = tmp_path.rglob("metrics/*.npz")
    metric._loaded.clear()
    monkeypatch.setattr(metric, "_measured", lambda *_: first + 1.0)
    np.testing.assert_array_equal(metric.model_metric(tiny_generator, space), first)
    file.write_bytes(file.read_bytes()[:50])
    metric._loaded.clear()
    np.testing.assert_array_equal(metric.model_metric(tiny_generator, space), first + 1.0)
    assert "computing the metric again" in caplog.text
    metric._loaded.clear()


def test_an_images_own_is_the_models_of_that_image_alone(tiny_generator: Generator, space: PCA, monkeypatch) -> None:
    monkeypatch.setattr(metric, "SAMPLES", 1)
    model = metric._measured(tiny_generator, space, None)
    ws = np.asarray(tiny_generator.mapping(jnp.asarray(np.random.RandomState(0).randn(1, 16), jnp.float32)))[0]
    kept = np.ones((metric.side_of(tiny_generator),) * 2)
    kept[: len(kept) // 2] = 0.25
    of_cells = np.tensordot(metric.by_cell(kept), model, 1)
    np.testing.assert_allclose(metric.image_metric(tiny_generator, space, ws, kept), of_cells, rtol=1e-4, atol=1e-7)


def test_what_stays_lies_away_from_a_way_or_outside_a_region() -> None:
    points = np.array([[16.0, 16.0]]), np.array([[16.0, 40.0]])
    weights = metric.by_cell(metric.kept_of(*points, None, side=128, size=32)).reshape(8, 8)
    assert weights[1, 1] < 0.2
    assert weights[7, 7] > 0.99
    region = np.zeros((128, 128), bool)
    region[:16, :8] = True
    expected = np.ones(64)
    expected[0] = 0.5
    np.testing.assert_allclose(metric.by_cell(metric.kept_of(*points, region, side=128, size=32)), expected)
