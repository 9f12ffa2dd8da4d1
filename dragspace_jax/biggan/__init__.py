"""BigGAN-deep in Flax NNX."""

from dragspace_jax.biggan.config import BigGANConfig
from dragspace_jax.biggan.latents import BigGANLatents
from dragspace_jax.biggan.model import BigGAN

__all__ = ["BigGAN", "BigGANConfig", "BigGANLatents"]
