"""A generator: mapping and synthesis under their published names."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, PRNGKeyArray
from numpy.typing import ArrayLike

from dragspace_jax.stylegan2.config import GeneratorConfig
from dragspace_jax.stylegan2.latents import Latents, check_latents
from dragspace_jax.stylegan2.layers import Noise
from dragspace_jax.stylegan2.mapping import Mapping
from dragspace_jax.stylegan2.network import PreparedSynthesis, prepare, styles_of
from dragspace_jax.stylegan2.synthesis import Synthesis


class Generator(nnx.Module):
    """A StyleGAN2 generator. A pytree: pass it through `jax.jit` like any array."""

    def __init__(self, config: GeneratorConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.mapping = Mapping(
            z_dim=config.z_dim,
            c_dim=config.c_dim,
            w_dim=config.w_dim,
            num_ws=config.num_ws,
            layers=config.mapping_layers,
            features=config.mapping_features,
            embed_features=config.embed_features,
            lr_multiplier=config.mapping_lr_multiplier,
            rngs=rngs,
        )
        self.synthesis = Synthesis(config, rngs=rngs)

    def check_latents(self, latents: Latents | ArrayLike) -> Latents:
        """One image's latents, or its ws alone ([L, D] or [1, L, D]), as float32 NumPy arrays. Raises LatentsError."""
        return check_latents(self.config, self.synthesis.style_channels(), latents)

    def prepare(
        self, *, block: int, reach: int, handles: float, windows: bool, noise: str, dtype: str, platform: str
    ) -> PreparedSynthesis:
        """The synthesis made ready for edits; see `networks.Model.prepare`."""
        return prepare(
            self.synthesis,
            block=block,
            reach=reach,
            handles=handles,
            windows=windows,
            noise=noise,
            dtype=dtype,
            platform=platform,
        )

    def images(
        self, latents: Latents, *, noise: Noise = "const", key: PRNGKeyArray | None = None, dtype: str = "float32"
    ) -> Float32[Array, "B H W C"]:
        """Latents with a leading B to images, as `networks.rendering` asks for them."""
        image = self.synthesis.render(
            styles_of(self.synthesis, latents), noise=noise, key=key, dtype=jnp.dtype(dtype)
        ).image
        assert image is not None  # nothing stops below the top here
        return image

    def __call__(
        self,
        z: Float[Array, "B Z"],
        c: Float[Array, "B c_dim"] | None = None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: Noise = "const",
        key: PRNGKeyArray | None = None,
        dtype: jnp.dtype | type = jnp.float32,
    ) -> Float32[Array, "B H W C"]:
        """z and labels c to images, nominally in [-1, 1]."""
        image = self.synthesis(self.mapping(z, c, psi=psi, cutoff=cutoff), noise=noise, key=key, dtype=dtype).image
        assert image is not None  # nothing stops below the top here
        return image


def seed_to_z(seed: int, z_dim: int) -> Float32[np.ndarray, "1 {z_dim}"]:
    """The published tools' latent of a seed: RandomState(seed).randn(1, Z)."""
    return np.random.RandomState(seed).randn(1, z_dim).astype(np.float32)
