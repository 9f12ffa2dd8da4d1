"""The synthesis that the embedded models are trained through against the one that they are used with."""

import jax
import numpy as np
import torch
from flax import nnx

from dragspace_jax.stylegan2 import Generator, GeneratorConfig
from dragspace_jax.stylegan2.rendering import render_images
from scripts.critter_synthesis import synthesise
from scripts.train_critters import Stage, parse_stages, synthesis_values, with_synthesis

CONFIG = GeneratorConfig(resolution=16, channels=(8, 6, 5), z_dim=4, w_dim=6, mapping_layers=2, use_noise=False)


def test_torch_and_jax_make_the_same_images():
    generator = Generator(CONFIG, rngs=nnx.Rngs(0))
    values = synthesis_values(generator)
    torch.manual_seed(0)
    values = {name: value + 0.3 * torch.randn(value.shape) for name, value in values.items()}
    changed = with_synthesis(generator, values)
    ws = np.array(jax.random.normal(jax.random.key(1), (3, CONFIG.num_ws, CONFIG.w_dim)))
    images = render_images(changed, ws)
    with torch.no_grad():
        exact = synthesise(values, torch.tensor(ws), torch.float32).permute(0, 2, 3, 1).numpy()
        rounded = synthesise(values, torch.tensor(ws)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(exact, images, atol=2e-5 * np.abs(images).max())
    assert np.abs(rounded - images).mean() < 0.02 * np.abs(images).mean()


def test_a_stage_of_minutes_follows_the_time_spent():
    counted, timed = parse_stages("32:100:0.02,128:2m:0.01")
    assert counted == Stage(resolution=32, steps=100, rate=0.02)
    assert counted.share(25, 1e6) == 0.25
    assert timed.share(10**6, 30.0) == 0.25
    assert timed.rate_at(0.5) == 0.005
    assert 0.0 < timed.rate_at(0.0) < timed.rate_at(0.03) < 0.01
    assert timed.rate_at(1.0) < 0.001
