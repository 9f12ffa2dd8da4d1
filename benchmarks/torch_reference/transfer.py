"""Between the torch reference and ours: the same weights, by name and transposition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from dragspace_jax.building import build_discriminator, build_generator
from dragspace_jax.convert.names import from_nvlabs
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig
from dragspace_jax.stylegan2.discriminator import Discriminator
from dragspace_jax.stylegan2.generator import Generator

from . import torch_stylegan2
from .torch_layers import load_published, published


def in_our_layout(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Published parameters by name, transposed; the resample filters are the config's."""
    return {n: from_nvlabs(n, p) for n, p in values.items() if not n.endswith("resample_filter")}


def in_published_layout(name: str, array: np.ndarray) -> np.ndarray:
    """One of our parameters as a contiguous copy in the published layout: the inverse of `from_nvlabs`."""
    if name.endswith("const") and array.ndim == 3:
        array = array.transpose(2, 0, 1)
    elif name.endswith("weight"):
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    return np.array(array, order="C")


def our_generator(config: GeneratorConfig, source: nn.Module | Mapping[str, Any]) -> Generator:
    """Our generator with the weights of a torch module or of published arrays."""
    arrays = published(source) if isinstance(source, nn.Module) else source
    return build_generator(config, in_our_layout(arrays))


def our_discriminator(config: DiscriminatorConfig, source: nn.Module | Mapping[str, Any]) -> Discriminator:
    """Our discriminator with the weights of a torch module or of published arrays."""
    arrays = published(source) if isinstance(source, nn.Module) else source
    return build_discriminator(config, in_our_layout(arrays))


def their_generator(generator: Generator) -> torch_stylegan2.Generator:
    """The torch reference with the weights of our generator."""
    reference = torch_stylegan2.Generator(generator.config)
    arrays = {name: np.asarray(value) for name, value in parameters(generator).items()}
    load_published(reference, {name: in_published_layout(name, array) for name, array in arrays.items()})
    return reference
