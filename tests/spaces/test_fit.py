"""Fitting bases: against a float64 SVD, in a stream, on several devices, and what cannot be fitted."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.building import build_generator
from dragspace_jax.networks.parameters import fingerprint, parameters
from dragspace_jax.placement import DeviceError
from dragspace_jax.spaces import SpaceError, fit_displacements, fit_pca
from dragspace_jax.spaces.fit import BATCH, draw
from dragspace_jax.stylegan2.generator import Generator

SAMPLES = 2 * BATCH + 100
ON_EIGHT_DEVICES = """
import jax
from dragspace_jax.checkpoint import load
from dragspace_jax.spaces import fit_pca
import numpy as np
assert len(jax.devices()) == 8
model = load("critters-dog")
many, one = (fit_pca(model, samples=5000, components=16, device=jax.devices()[:n]) for n in (8, 1))
assert np.abs(many.components - one.components).max() < 1e-6
assert np.abs(many.variance - one.variance).max() < 1e-6 * one.variance.max()
"""


def test_a_stream_equals_a_float64_svd(tiny_generator: Generator) -> None:
    done: list[int] = []
    basis = fit_pca(tiny_generator, samples=SAMPLES, components=5, on_progress=done.append)
    assert done == [BATCH, 2 * BATCH, SAMPLES]
    batches = [np.asarray(draw(tiny_generator.mapping, 0, index, None), np.float64) for index in range(3)]
    w = np.concatenate(batches)[:SAMPLES]
    _, values, vectors = np.linalg.svd(w - w.mean(0), full_matrices=False)
    spanned = np.asarray(basis.components, np.float64)
    assert np.linalg.norm(spanned.T @ spanned - vectors[:5].T @ vectors[:5], 2) < 1e-4
    np.testing.assert_allclose(basis.variance, values[:5] ** 2 / (SAMPLES - 1), rtol=1e-5)
    np.testing.assert_allclose(basis.mean, w.mean(0), atol=1e-6)
    assert (np.take_along_axis(spanned, np.abs(spanned).argmax(1)[:, None], 1) > 0).all()
    assert basis.model == fingerprint(tiny_generator)


def test_devices_do_not_matter(eight_devices: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", ON_EIGHT_DEVICES], env=eight_devices, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_whitened_coordinates_have_unit_variance(tiny_generator: Generator) -> None:
    basis = fit_pca(tiny_generator, samples=BATCH, components=4, layers=1)
    w = draw(tiny_generator.mapping, 0, 0, None)
    coordinates = jax.vmap(basis.whitened().coordinates)(w[:, None])
    np.testing.assert_allclose(np.var(coordinates, axis=0), 1.0, rtol=1e-3)
    np.testing.assert_allclose(basis.whitened(0.0).scale, 1.0)
    with pytest.raises(SpaceError, match="from 0 \\(none\\) to 1"):
        basis.whitened(2.0)


def test_displacements_span_what_drags_did() -> None:
    random = np.random.RandomState(0)
    starts, directions = random.randn(30, 5, 8), random.randn(2, 3, 8)
    ends = starts.copy()
    ends[:, :3] += np.einsum("mk,knd->mnd", random.randn(30, 2), directions)
    basis = fit_displacements(starts, ends, layers=3)
    assert basis.components.shape == (2, 3, 8)
    assert basis.dim(8) == 2
    flat = np.asarray(basis.components).reshape(2, -1)
    moved = (ends - starts)[:, :3].reshape(30, -1)
    np.testing.assert_allclose(moved @ flat.T @ flat, moved, atol=1e-5)
    assert basis.variance[0] > basis.variance[1]
    with pytest.raises(SpaceError, match="vary in 2 directions only; ask for at most 2 components, not 4"):
        fit_displacements(starts, ends, layers=3, components=4)
    with pytest.raises(SpaceError, match=r"components is 9; it must be a whole number from 1 to 4 \(4 drags\)"):
        fit_displacements(starts[:4], ends[:4], layers=3, components=9)
    with pytest.raises(SpaceError, match="latents have 5 layers"):
        fit_displacements(starts, ends, layers=6)
    with pytest.raises(SpaceError, match="both be"):
        fit_displacements(starts, ends[:4], layers=3)


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_fitted(tiny_generator: Generator) -> None:
    with pytest.raises(SpaceError, match="at least 2"):
        fit_pca(tiny_generator, samples=1)
    with pytest.raises(SpaceError, match=r"components is 17; it must be a whole number from 1 to 16 \(16 dimensions\)"):
        fit_pca(tiny_generator, samples=500, components=17)
    with pytest.raises(SpaceError, match=r"components is 9; it must be a whole number from 1 to 7 \(8 samples"):
        fit_pca(tiny_generator, samples=8, components=9)
    with pytest.raises(SpaceError, match=r"components is 3.5; it must be a whole number from 1 to 16"):
        fit_pca(tiny_generator, samples=500, components=3.5)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="seed is 2147483648; it must be from 0 to 2147483647"):
        fit_pca(tiny_generator, samples=500, seed=2**31)
    with pytest.raises(SpaceError, match="layers is 99; the model has"):
        fit_pca(tiny_generator, samples=500, layers=99)
    with pytest.raises(DeviceError, match="device is empty"):
        fit_pca(tiny_generator, samples=500, device=[])
    values = parameters(tiny_generator)
    values["mapping.fc1.weight"] = jnp.zeros_like(values["mapping.fc1.weight"])
    with pytest.raises(SpaceError, match="degenerate: all samples are the same"):
        fit_pca(build_generator(tiny_generator.config, values), samples=100)
