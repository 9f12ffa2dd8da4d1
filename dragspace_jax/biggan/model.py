"""A BigGAN-deep as a user loads it: the classes' embeddings and the generator, under their published names."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from dragspace_jax.biggan.config import BigGANConfig
from dragspace_jax.biggan.generator import Generator
from dragspace_jax.biggan.latents import BigGANLatents, check_latents, statistics_of
from dragspace_jax.biggan.layers import Dense
from dragspace_jax.biggan.network import PreparedGenerator, styles_of


class BigGAN(nnx.Module):
    """A BigGAN-deep. A pytree: pass it through `jax.jit` like any array."""

    def __init__(self, config: BigGANConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.embeddings = Dense(config.num_classes, config.z_dim, rngs=rngs, bias=False)
        self.generator = Generator(config, rngs=rngs)

    def check_latents(self, latents: Any) -> BigGANLatents:
        """One image's latents as float32 NumPy arrays. Raises BigGANLatentsError."""
        return check_latents(self.config, latents)

    def prepare(
        self, *, block: int, reach: int, handles: float, windows: bool, noise: str, dtype: str, platform: str
    ) -> PreparedGenerator:
        """The generator made ready for edits, whole maps always; see `networks.Model.prepare`. It has no noise."""
        del reach, handles, windows, noise
        return PreparedGenerator(generator=self.generator, block=block, dtype=dtype, platform=platform)

    def latents(
        self, z: Float[Array, "B Z"], labels: Float[Array, "B num_classes"], *, truncation: float
    ) -> BigGANLatents:
        """z and labels (one-hot, or mixed) to latents. Raises BigGANLatentsError: the truncation is out of range."""
        weights = jnp.asarray(statistics_of(truncation, self.config.n_stats))
        statistics = jnp.broadcast_to(weights[None], (z.shape[0], self.config.n_stats))
        return BigGANLatents(z=z, class_embedding=self.embeddings(labels), statistics=statistics)

    def images(
        self, latents: BigGANLatents, *, noise: str = "const", key: PRNGKeyArray | None = None, dtype: str = "float32"
    ) -> Float32[Array, "B H W C"]:
        """Latents with a leading B to images in [-1, 1]; there is no noise to choose."""
        del noise, key
        styles = styles_of(jax.tree.map(jnp.asarray, latents))
        return self.generator.image(styles["condition"], styles["statistics"], dtype=jnp.dtype(dtype))

    def __call__(
        self, z: Float[Array, "B Z"], labels: Float[Array, "B num_classes"], *, truncation: float = 1.0
    ) -> Float32[Array, "B H W C"]:
        """z and labels to images in [-1, 1]. Raises BigGANLatentsError: the truncation is out of range."""
        return self.images(self.latents(z, labels, truncation=truncation))
