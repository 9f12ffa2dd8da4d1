"""Latents to images, in batches of one compiled shape."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.layers import Noise

_BATCH = 16
_PIXELS = 2**21  # of one batch: eight images of 512 px, two of 1024 px


@partial(jax.jit, static_argnames=("noise", "dtype"))
def _render(model: Generator, ws: jax.Array, key: jax.Array, *, noise: Noise, dtype: str) -> jax.Array | None:
    return model.synthesis(ws, noise=noise, key=key, dtype=jnp.dtype(dtype)).image


def render_batches(
    model: Generator, ws: np.ndarray, *, noise: Noise = "const", dtype: str = "float32"
) -> Iterator[np.ndarray]:
    """Render ws [n, L, D] batch by batch; yields float32 [b, H, W, 3], n images in all.

    The last batch is filled up with copies of its last latent, so that nothing is compiled twice. Random noise
    comes from a fixed key and differs from batch to batch.
    """
    batch = min(len(ws), _BATCH, max(1, _PIXELS // model.config.resolution**2))
    for start in range(0, len(ws), batch):
        part = ws[start : start + batch]
        filled = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        key = jax.random.fold_in(jax.random.key(0), start)
        images = _render(model, jnp.asarray(filled), key, noise=noise, dtype=dtype)
        yield np.asarray(images)[: len(part)]


def render_images(model: Generator, ws: np.ndarray, *, noise: Noise = "const", dtype: str = "float32") -> np.ndarray:
    """All of ws [n, L, D] at once: float32 [n, H, W, 3]."""
    return np.concatenate(list(render_batches(model, ws, noise=noise, dtype=dtype)))
