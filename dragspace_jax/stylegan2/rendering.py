"""W+ to images, in batches of one compiled shape: `networks.rendering` for ws alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32

from dragspace_jax.networks import rendering
from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.latents import Latents
from dragspace_jax.stylegan2.layers import Noise


def render_batches(
    model: Generator,
    latents: Float[np.ndarray, "n L D"] | Latents,
    *,
    noise: Noise = "const",
    dtype: str = "float32",
    together: int = 0,
) -> Iterator[Float32[np.ndarray, "b H W C"]]:
    """`networks.rendering.render_batches` of latents, or of ws alone."""
    return rendering.render_batches(model, _latents(latents), noise=noise, dtype=dtype, together=together)


def render_images(
    model: Generator, latents: Float[np.ndarray, "n L D"] | Latents, *, noise: Noise = "const", dtype: str = "float32"
) -> Float32[np.ndarray, "n H W C"]:
    """All of the latents, or of ws alone, at once."""
    return rendering.render_images(model, _latents(latents), noise=noise, dtype=dtype)


def _latents(latents: Float[np.ndarray, "n L D"] | Latents) -> Latents:
    return latents if isinstance(latents, Latents) else Latents(ws=latents)
