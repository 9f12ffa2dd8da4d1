"""Latents to images, in batches of one compiled shape."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.latents import Latents
from dragspace_jax.stylegan2.layers import Noise
from dragspace_jax.stylegan2.network import styles_of

_BATCH = 16
_PIXELS = 2**21  # of one batch: eight images of 512 px, two of 1024 px


@partial(jax.jit, static_argnames=("noise", "dtype"))
def _render(
    model: Generator, latents: Latents, key: PRNGKeyArray, *, noise: Noise, dtype: str
) -> Float32[Array, "B H W C"] | None:
    styles = styles_of(model.synthesis, latents)
    return model.synthesis.render(styles, noise=noise, key=key, dtype=jnp.dtype(dtype)).image


def render_batches(
    model: Generator, latents: Float[np.ndarray, "n L D"] | Latents, *, noise: Noise = "const", dtype: str = "float32"
) -> Iterator[Float32[np.ndarray, "b H W C"]]:
    """Render latents, or ws alone, batch by batch; n images in all.

    The last batch is filled up with copies of its last latent, so that nothing is compiled twice. Random noise
    comes from a fixed key and differs from batch to batch.
    """
    latents = latents if isinstance(latents, Latents) else Latents(ws=latents)
    count = len(latents.ws)
    batch = min(count, _BATCH, max(1, _PIXELS // model.config.resolution**2))
    for start in range(0, count, batch):
        rows = np.minimum(np.arange(start, start + batch), count - 1)
        part = jax.tree.map(lambda leaf, rows=rows: jnp.asarray(np.asarray(leaf)[rows]), latents)
        key = jax.random.fold_in(jax.random.key(0), start)
        images = _render(model, part, key, noise=noise, dtype=dtype)
        yield np.asarray(images)[: min(batch, count - start)]


def render_images(
    model: Generator, latents: Float[np.ndarray, "n L D"] | Latents, *, noise: Noise = "const", dtype: str = "float32"
) -> Float32[np.ndarray, "n H W C"]:
    """All of the latents, or of ws alone, at once."""
    return np.concatenate(list(render_batches(model, latents, noise=noise, dtype=dtype)))
