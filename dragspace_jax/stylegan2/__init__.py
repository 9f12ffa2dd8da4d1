"""StyleGAN2 in Flax NNX."""

from dragspace_jax.stylegan2.config import ConfigError, DiscriminatorConfig, GeneratorConfig, channel_table
from dragspace_jax.stylegan2.discriminator import Discriminator
from dragspace_jax.stylegan2.generator import Generator, seed_to_z
from dragspace_jax.stylegan2.latents import Latents, LatentsError
from dragspace_jax.stylegan2.synthesis import Styles, SynthesisOutput

__all__ = [
    "ConfigError",
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "Latents",
    "LatentsError",
    "Styles",
    "SynthesisOutput",
    "channel_table",
    "seed_to_z",
]
