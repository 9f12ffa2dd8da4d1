"""Gram matrices of a region against the Jacobian of the image written out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.analysis.local import RegionError, region_grams, region_grams_z
from dragspace_jax.stylegan2 import Generator

SIDE = 8


def _region(side: int = 32) -> np.ndarray:
    region = np.zeros((side, side), bool)
    region[4:12, 8:20] = True
    return region


def _expected(jacobian: np.ndarray) -> list[np.ndarray]:
    """Of J [32, 32, 3, D], as published: nearest neighbour, mean of RGB, by the number of pixels."""
    small = jacobian[::4, ::4].mean(2)
    inside = _region()[::4, ::4]
    return [small[part].T @ small[part] / part.sum() for part in (inside, ~inside)]


def test_it_is_the_published_setting(tiny_generator: Generator) -> None:
    w = np.random.RandomState(0).randn(16).astype(np.float32)
    told: list[int] = []
    found = region_grams(tiny_generator, w, _region(), side=SIDE, on_progress=told.append)

    @jax.jit
    def jacobian(w: jax.Array) -> jax.Array:
        def image(w: jax.Array) -> jax.Array:
            found = tiny_generator.synthesis(jnp.broadcast_to(w[None], (8, 16))[None]).image
            assert found is not None
            return found[0]

        return jax.jacfwd(image)(w)

    for ours, expected in zip(found, _expected(np.asarray(jacobian(jnp.asarray(w)))), strict=True):
        np.testing.assert_allclose(ours, expected, atol=2e-5 * np.abs(expected).max())
    assert told == [1]


def test_z_is_the_chain_of_w(tiny_generator: Generator) -> None:
    z = np.random.RandomState(1).randn(16).astype(np.float32)
    mapped = lambda z: tiny_generator.mapping.trunk(z[None], None)[0]  # noqa: E731
    w, chain = np.asarray(mapped(jnp.asarray(z))), np.asarray(jax.jacfwd(mapped)(jnp.asarray(z)), np.float64)
    by_w = region_grams(tiny_generator, w, _region(), side=SIDE)
    by_z = region_grams_z(tiny_generator, z, _region(), side=SIDE)
    for ours, theirs in zip(by_z, by_w, strict=True):
        expected = chain.T @ theirs @ chain
        np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (np.zeros((32, 32), bool), "empty"),
        (np.ones((32, 32), bool), "all of the image"),
        (_region(16), r"shape \(16, 16\)"),
    ],
)
def test_a_region_that_leaves_nothing_is_refused(tiny_generator: Generator, region: np.ndarray, said: str) -> None:
    with pytest.raises(RegionError, match=said):
        region_grams(tiny_generator, np.zeros(16, np.float32), region)
