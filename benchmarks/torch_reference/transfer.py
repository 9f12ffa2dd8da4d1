"""From the torch reference to ours: the same weights, by name and transposition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from dragspace_jax.checkpoint import build_discriminator, build_generator
from dragspace_jax.convert.names import from_nvlabs
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig
from dragspace_jax.stylegan2.discriminator import Discriminator
from dragspace_jax.stylegan2.generator import Generator

from .torch_layers import published


def in_our_layout(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Published parameters by name, transposed; the resample filters are the config's."""
    return {n: from_nvlabs(n, p) for n, p in parameters.items() if not n.endswith("resample_filter")}


def our_generator(config: GeneratorConfig, source: nn.Module | Mapping[str, Any]) -> Generator:
    """Our generator with the weights of a torch module or of published arrays."""
    arrays = published(source) if isinstance(source, nn.Module) else source
    return build_generator(config, in_our_layout(arrays))


def our_discriminator(config: DiscriminatorConfig, source: nn.Module | Mapping[str, Any]) -> Discriminator:
    """Our discriminator with the weights of a torch module or of published arrays."""
    arrays = published(source) if isinstance(source, nn.Module) else source
    return build_discriminator(config, in_our_layout(arrays))
