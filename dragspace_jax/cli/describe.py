"""What the commands say of a network in one line."""

from __future__ import annotations

import math

from dragspace_jax.convert.names import generator_shapes
from dragspace_jax.stylegan2.config import GeneratorConfig


def describe(config: GeneratorConfig) -> str:
    """One line: size, architecture, labels, parameters."""
    labels = f", {config.c_dim} classes" if config.c_dim else ""
    return f"{config.resolution} px {config.architecture} generator{labels}, {parameter_count(config):,} parameters"


def parameter_count(config: GeneratorConfig) -> int:
    """Number of trained numbers: without w_avg and the constant noise."""
    shapes = generator_shapes(config)
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(("noise_const", "w_avg")))
