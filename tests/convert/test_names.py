"""The table of names and shapes against the modules, and the published layouts against ours."""

import jax
import numpy as np
import pytest
from flax import nnx

from dragspace_jax.convert.names import discriminator_shapes, from_nvlabs, generator_shapes
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig
from dragspace_jax.stylegan2.discriminator import Discriminator
from dragspace_jax.stylegan2.generator import Generator

GENERATORS = {
    "skip": GeneratorConfig(resolution=32, channels=(12, 10, 8, 6), z_dim=7, w_dim=9, mapping_layers=3),
    "resnet-labels": GeneratorConfig(
        resolution=16,
        channels=(8, 6, 4),
        z_dim=7,
        w_dim=9,
        c_dim=3,
        architecture="resnet",
        mapping_features=11,
        embed_features=5,
    ),
    "orig-silent": GeneratorConfig(
        resolution=16, channels=(8, 6, 4), z_dim=7, w_dim=9, architecture="orig", use_noise=False, img_channels=4
    ),
}
DISCRIMINATORS = {
    "resnet": DiscriminatorConfig(resolution=32, channels=(12, 10, 8, 6)),
    "skip-labels": DiscriminatorConfig(
        resolution=16, channels=(8, 6, 4), c_dim=3, architecture="skip", cmap_dim=5, mapping_layers=2
    ),
    "orig": DiscriminatorConfig(resolution=16, channels=(8, 6, 4), architecture="orig", mbstd_num_channels=2),
}


def shapes_of(build) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in jax.eval_shape(lambda: parameters(build())).items()}


@pytest.mark.parametrize("name", GENERATORS)
def test_generator_table_is_the_module(name):
    config = GENERATORS[name]
    assert generator_shapes(config) == shapes_of(lambda: Generator(config, rngs=nnx.Rngs(0)))


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminator_table_is_the_module(name):
    config = DISCRIMINATORS[name]
    assert discriminator_shapes(config) == shapes_of(lambda: Discriminator(config, rngs=nnx.Rngs(0)))


@pytest.mark.parametrize(
    ("name", "published", "ours"),
    [
        ("synthesis.b8.conv0.weight", (5, 4, 3, 2), (3, 2, 4, 5)),
        ("mapping.fc0.weight", (5, 4), (4, 5)),
        ("synthesis.b4.const", (5, 4, 3), (4, 3, 5)),
        ("synthesis.b8.conv0.noise_const", (8, 8), (8, 8)),
        ("synthesis.b8.conv0.noise_strength", (), ()),
        ("b4.fc.bias", (5,), (5,)),
    ],
)
def test_layouts(name, published, ours):
    assert from_nvlabs(name, np.zeros(published)).shape == ours


def test_layout_moves_every_axis_to_its_place():
    weight = np.arange(5 * 4 * 3 * 2).reshape(5, 4, 3, 2)
    moved = from_nvlabs("conv0.weight", weight)
    assert all(moved[y, x, i, o] == weight[o, i, y, x] for o, i, y, x in np.ndindex(weight.shape))
