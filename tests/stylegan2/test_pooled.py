"""Gradients of the pooled image by all style channels: equal to plain reverse passes, for fewer multiply-adds."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.stylegan2 import Generator, GeneratorConfig
from dragspace_jax.stylegan2.pooled import forward_multiply_adds, plan_pooled, pooled_gradients


@pytest.mark.parametrize("meeting", [4, 8])
def test_they_are_those_of_reverse_passes(tiny_generator: Generator, meeting: int) -> None:
    synthesis, config = tiny_generator.synthesis, tiny_generator.config
    ws = jax.random.normal(jax.random.key(3), (1, config.num_ws, config.w_dim))
    styles = synthesis.styles(ws)
    plan = plan_pooled(config, meeting=meeting, side=16)
    found = jax.jit(pooled_gradients, static_argnames="plan")(
        synthesis, styles, plan, synthesis.kernels(config.resolution, jnp.float32)
    )
    moved = [name for name in styles if not name.endswith("torgb")]
    assert set(found) == set(moved)

    def pooled(styles: dict[str, jax.Array]) -> jax.Array:
        image = synthesis.render(styles).image
        assert image is not None
        return image.reshape(16, 2, 16, 2, 3).mean((1, 3))

    pull = jax.jit(jax.vjp(pooled, styles)[1])
    for place in ((0, 0, 0), (15, 15, 1), (0, 15, 2), (6, 9, 0)):
        (expected,) = pull(jnp.zeros((16, 16, 3)).at[place].set(1.0))
        largest = max(float(jnp.abs(each).max()) for each in expected.values())
        for name in moved:
            np.testing.assert_allclose(found[name][place], expected[name][0], atol=1e-4 * largest)


@pytest.mark.parametrize("resolution", [128, 512])
def test_they_cost_less_than_a_quarter_of_a_tangent_of_every_channel(resolution: int) -> None:
    widths = {128: (160, 160, 160, 96, 64, 32), 512: (512, 512, 512, 512, 512, 256, 128, 64)}[resolution]
    config = GeneratorConfig(resolution=resolution, channels=widths)
    assert plan_pooled(config).multiply_adds(config) <= forward_multiply_adds(config) / 4
