"""Networks from their parameters by name, as they lie in a checkpoint, or in memory after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from dragspace_jax.biggan import BigGAN, BigGANConfig
from dragspace_jax.errors import DragspaceError
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig
from dragspace_jax.stylegan2.discriminator import Discriminator
from dragspace_jax.stylegan2.generator import Generator

Network = TypeVar("Network", Generator, Discriminator, BigGAN)


class ModelError(DragspaceError):
    """A model that is not there, not whole or not ours; the message says which and what to do."""


def build_generator(config: GeneratorConfig, values: Mapping[str, Any]) -> Generator:
    """A generator with these parameters (float32). Raises ModelError if a name is missing, left over or misshapen."""
    return _build(nnx.eval_shape(lambda: Generator(config, rngs=_Zeros())), values)


def build_discriminator(config: DiscriminatorConfig, values: Mapping[str, Any]) -> Discriminator:
    """A discriminator with these parameters (float32). Raises ModelError as `build_generator` does."""
    return _build(nnx.eval_shape(lambda: Discriminator(config, rngs=_Zeros())), values)


def build_biggan(config: BigGANConfig, values: Mapping[str, Any]) -> BigGAN:
    """A BigGAN with these parameters (float32). Raises ModelError as `build_generator` does."""
    return _build(nnx.eval_shape(lambda: BigGAN(config, rngs=_Zeros())), values)


class _Zeros(nnx.Rngs):
    """What initialisers draw from where only shapes are wanted: to trace random numbers takes longer than reading."""

    @property
    def params(self) -> Self:
        return self

    def normal(self, shape: tuple[int, ...]) -> jax.Array:  # type: ignore[override]
        return jnp.zeros(shape)


def _build(abstract: Network, values: Mapping[str, Any]) -> Network:
    graph, state = nnx.split(abstract)
    flat = {".".join(str(part) for part in path): (path, variable) for path, variable in nnx.to_flat_state(state)}
    missing, extra = sorted(flat.keys() - values.keys()), sorted(values.keys() - flat.keys())
    if missing or extra:
        raise ModelError(f"the parameters do not fit the architecture: missing {missing}, left over {extra}")
    for name, (_, variable) in flat.items():
        if tuple(values[name].shape) != tuple(variable.shape):
            raise ModelError(f"parameter {name} has shape {values[name].shape}; the architecture has {variable.shape}")
    filled = [
        (path, variable.replace(jnp.asarray(values[name], jnp.float32))) for name, (path, variable) in flat.items()
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled))
