"""What the commands say of a network in one line."""

from __future__ import annotations

import math

from dragspace_jax.biggan import BigGANConfig
from dragspace_jax.convert.biggan import biggan_shapes
from dragspace_jax.convert.names import generator_shapes
from dragspace_jax.stylegan2.config import GeneratorConfig

_NOT_TRAINED = ("noise_const", "w_avg", "running_means", "running_vars")


def describe(config: GeneratorConfig | BigGANConfig) -> str:
    """One line: size, architecture, labels, parameters."""
    labels = f", {config.c_dim} classes" if config.c_dim else ""
    return f"{config.resolution} px {architecture(config)} generator{labels}, {parameter_count(config):,} parameters"


def architecture(config: GeneratorConfig | BigGANConfig) -> str:
    """Its name."""
    return "BigGAN-deep" if isinstance(config, BigGANConfig) else config.architecture


def parameter_count(config: GeneratorConfig | BigGANConfig) -> int:
    """Number of trained numbers: without w_avg, constant noise and statistics."""
    shapes = biggan_shapes(config) if isinstance(config, BigGANConfig) else generator_shapes(config)
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(_NOT_TRAINED))
