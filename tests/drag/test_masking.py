"""The mask's term against the resized maps written out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.drag.masking import mask_loss
from dragspace_jax.networks import Grid

SIDE = 32


@pytest.mark.parametrize("grid", [4, 16, 24, 32])
def test_against_the_resized_maps(grid: int) -> None:
    now, start = (jax.random.normal(jax.random.key(k), (grid, grid, 3)) for k in (0, 1))
    mask = (jax.random.uniform(jax.random.key(2), (SIDE, SIDE)) > 0.4).astype(jnp.float32)

    def written_out(features: jax.Array) -> jax.Array:
        resized = [jax.image.resize(x, (SIDE, SIDE, 3), "linear", antialias=False) for x in (features, start)]
        return jnp.mean(jnp.abs(mask[..., None] * (resized[0] - resized[1])))

    ours = jax.jit(jax.value_and_grad(lambda x: mask_loss(x, start, mask, grid=Grid.over(SIDE, grid))))
    value, gradient = ours(now)
    expected, expected_gradient = jax.jit(jax.value_and_grad(written_out))(now)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-5 * float(jnp.abs(expected_gradient).max()))


def test_no_slope_where_nothing_changed() -> None:
    same = jax.random.normal(jax.random.key(0), (8, 8, 2))
    value, gradient = jax.value_and_grad(lambda x: mask_loss(x, same, jnp.ones((16, 16)), grid=Grid.over(16, 8)))(same)
    assert float(value) == 0
    assert float(jnp.abs(gradient).max()) == 0
