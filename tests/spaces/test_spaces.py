"""Spaces: decoding what was encoded, what moves and what stays, PCA against a float64 SVD."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.spaces import PCA, LayerSpace, SpaceError, W, WPlus, fit_pca, load_space, save_space
from dragspace_jax.spaces.fit import draw
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.network import PreparedSynthesis


@pytest.fixture(scope="module")
def basis(tiny_generator: Generator) -> PCA:
    return fit_pca(tiny_generator, samples=500, layers=4)


@pytest.fixture(scope="module")
def network(tiny_generator: Generator) -> PreparedSynthesis:
    """Any: spaces ask for styles only."""
    return tiny_generator.prepare(
        block=32, reach=2, handles=1, windows=False, noise="const", dtype="float32", platform="cpu"
    )


@pytest.fixture
def ws(tiny_generator: Generator) -> jax.Array:
    shape = (tiny_generator.config.num_ws, tiny_generator.config.w_dim)
    return jax.random.normal(jax.random.key(0), shape)


@pytest.mark.parametrize("kind", ["w+", "pca", "pca, shared"])
def test_round_trip(
    tiny_generator: Generator, network: PreparedSynthesis, basis: PCA, ws: jax.Array, kind: str
) -> None:
    shared = dataclasses.replace(basis.truncated(3), shared=True)
    space: LayerSpace = {"w+": WPlus(layers=4), "pca": basis.truncated(5), "pca, shared": shared}[kind]
    coordinates, base = space.encode(network, Latents(ws=ws))
    assert coordinates.shape == {"w+": (64,), "pca": (20,), "pca, shared": (3,)}[kind]
    np.testing.assert_allclose(space.decode(coordinates, base).ws, ws, atol=1e-5)
    styles = space.styles(network, coordinates, base)
    expected = tiny_generator.synthesis.styles(ws[None])
    assert styles.keys() == expected.keys()
    for name, style in expected.items():
        np.testing.assert_allclose(styles[name], style, atol=1e-4)


def test_w_starts_from_layer_0(network: PreparedSynthesis, ws: jax.Array) -> None:
    space = W(layers=3)
    coordinates, base = space.encode(network, Latents(ws=ws))
    latents = np.asarray(space.decode(coordinates, base).ws)
    np.testing.assert_allclose(latents[:3], np.repeat(np.asarray(ws[:1]), 3, 0))
    np.testing.assert_allclose(latents[3:], ws[3:])


def test_only_the_first_layers_move(network: PreparedSynthesis, basis: PCA, ws: jax.Array) -> None:
    for space in (WPlus(layers=4), W(layers=4), basis.truncated(2)):
        coordinates, base = space.encode(network, Latents(ws=ws))
        moved = np.asarray(space.decode(coordinates + 1.0, base).ws)
        assert np.abs(moved[:4] - np.asarray(ws[:4])).max() > 0.1
        np.testing.assert_array_equal(moved[4:], ws[4:])


def test_pca_equals_a_float64_svd(tiny_generator: Generator) -> None:
    samples = 500  # one batch, so that the latents can be drawn again here
    w = np.asarray(draw(tiny_generator.mapping, 0, 0, None), np.float64)[:samples]
    _, values, vectors = np.linalg.svd(w - w.mean(0), full_matrices=False)
    basis = fit_pca(tiny_generator, samples=samples)
    np.testing.assert_allclose(basis.mean, w.mean(0), atol=1e-5)
    np.testing.assert_allclose(basis.variance, values**2 / (samples - 1), rtol=1e-3, atol=1e-5)
    agreement = np.abs(np.sum(np.asarray(basis.components)[:4] * vectors[:4], 1))
    np.testing.assert_allclose(agreement, 1.0, atol=1e-3)
    identity = np.asarray(basis.components) @ np.asarray(basis.components).T
    np.testing.assert_allclose(identity, np.eye(len(identity)), atol=1e-5)


def test_a_basis_is_kept(tmp_path: Path, basis: PCA) -> None:
    save_space(basis, tmp_path / "deep" / "basis.npz")
    again = load_space(tmp_path / "deep" / "basis.npz")
    assert isinstance(again, PCA)
    np.testing.assert_array_equal(again.components, basis.components)
    assert (again.layers, again.shared, again.model) == (4, False, basis.model)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["basis.npz"]


def test_spaces_that_do_not_fit(tiny_generator: Generator, basis: PCA) -> None:
    WPlus(layers=np.int64(4)).check(tiny_generator)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="layers is 9; the model has 8"):
        WPlus(layers=9).check(tiny_generator)
    with pytest.raises(SpaceError, match="components is 17; the basis has 16"):
        basis.truncated(17)
    wide = PCA(mean=jnp.zeros(8), components=jnp.eye(8), variance=jnp.ones(8), scale=jnp.ones(8))
    with pytest.raises(SpaceError, match="width 8"):
        wide.check(tiny_generator)
