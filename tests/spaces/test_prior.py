"""Distances of a model's samples: counted once, kept, and uniform in their own quantiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dragspace_jax.inputs import seed_latents
from dragspace_jax.spaces import prior
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.stylegan2 import Generator


def test_distances_of_samples_are_kept_and_drawn_again_if_damaged(
    tiny_generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    basis = cached_pca(tiny_generator)
    monkeypatch.setattr(prior, "basis_folder", lambda: tmp_path)
    made = prior._prior(tiny_generator, basis)
    (kept,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(prior, "draw", lambda *_: pytest.fail("they are kept"))
        np.testing.assert_array_equal(prior._prior(tiny_generator, basis).samples, made.samples)
    assert caplog.text == ""
    kept.write_bytes(b"damaged")
    np.testing.assert_array_equal(prior._prior(tiny_generator, basis).samples, made.samples)
    assert "are damaged" in caplog.text


def test_other_samples_have_uniform_quantiles(tiny_generator: Generator) -> None:
    made = prior.cached_prior(tiny_generator)
    assert prior.cached_prior(tiny_generator) is made
    latents = seed_latents(tiny_generator, range(400), psi=1.0)
    distances = [made.distance(ws[:6]) for ws in latents]
    assert np.mean(np.square(distances)) == pytest.approx(1.0, abs=0.1)
    quantiles = np.sort([made.quantile(distance) for distance in distances])
    np.testing.assert_allclose(quantiles, np.arange(400) / 400, atol=0.1)  # Kolmogorov, far beyond 1 in 1000
    assert made.quantile(0.0) == 0.0
    assert made.quantile(np.inf) == 1.0
