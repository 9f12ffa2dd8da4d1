"""Small random networks by their published names and layouts: what the fixtures of all formats hold."""

from __future__ import annotations

import numpy as np

from dragspace_jax.convert.names import discriminator_shapes, from_nvlabs, generator_shapes
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig

Arrays = dict[str, np.ndarray]

SMALL = {"resolution": 16, "channels": (10, 8, 6), "z_dim": 7, "w_dim": 9, "mapping_layers": 3}
# 2 · 20 / R, at most 10, at 4, 8 and 16 px; stated as such by the formats that state it.
CHANNEL_BASE, CHANNEL_MAX = 96, 10
CHANNELS = (10, 10, 6)


def small_generator(**changes) -> GeneratorConfig:
    return GeneratorConfig(**{**SMALL, "channels": CHANNELS, **changes})


def small_discriminator(**changes) -> DiscriminatorConfig:
    return DiscriminatorConfig(**{"resolution": 16, "channels": CHANNELS, "mapping_layers": 0, **changes})


def published_layout(name: str, array: np.ndarray) -> np.ndarray:
    """The inverse of from_nvlabs, written down on its own."""
    if name.endswith(".const"):
        return np.moveaxis(array, 2, 0)
    if name.endswith(".weight") and array.ndim == 4:
        return np.moveaxis(array, (3, 2), (0, 1))
    return array.T if name.endswith(".weight") else array


def random_parameters(config: GeneratorConfig | DiscriminatorConfig, seed: int = 0) -> Arrays:
    """{published name: random float32 array in the published layout}; every number is different."""
    random = np.random.RandomState(seed)
    shapes = generator_shapes(config) if isinstance(config, GeneratorConfig) else discriminator_shapes(config)
    return {
        name: np.array(published_layout(name, np.asarray(random.randn(*shape), np.float32)), order="C")
        for name, shape in shapes.items()
    }


def ours(published: Arrays) -> Arrays:
    return {name: from_nvlabs(name, array) for name, array in published.items()}
