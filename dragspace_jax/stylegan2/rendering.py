"""Latents to images, in batches of one compiled shape."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from functools import partial
from itertools import chain, pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32

from dragspace_jax.kept_programs import KeptJit
from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.latents import Latents
from dragspace_jax.stylegan2.layers import Noise
from dragspace_jax.stylegan2.network import styles_of

_BATCH = 16
_PIXELS = 2**21  # of one batch: eight images of 512 px, two of 1024 px


@functools.cache
def _renderer(noise: Noise, dtype: str) -> KeptJit:
    """`_render`, compiled."""
    function = partial(_render, noise=noise, dtype=dtype)
    return KeptJit(function, name=f"render {noise} {dtype}", results=lambda model, latents, first: first)


def _render(
    model: Generator, latents: Latents, first: Int32[Array, ""], *, noise: Noise, dtype: str
) -> Float32[Array, "B H W C"] | None:
    key = jax.random.fold_in(jax.random.key(0), first)
    styles = styles_of(model.synthesis, latents)
    return model.synthesis.render(styles, noise=noise, key=key, dtype=jnp.dtype(dtype)).image


def render_batches(
    model: Generator,
    latents: Float[np.ndarray, "n L D"] | Latents,
    *,
    noise: Noise = "const",
    dtype: str = "float32",
    together: int = 0,
) -> Iterator[Float32[np.ndarray, "b H W C"]]:
    """Render latents, or ws alone, batch by batch; n images in all.

    The last batch is filled up with copies of its last latent, so that nothing is compiled twice. Random noise
    comes from a fixed key and differs from batch to batch. While the caller works on a batch, the next is computed.

    Args:
      model: the generator.
      latents: of n images.
      noise: `const`, `none` or `random`.
      dtype: of the synthesis.
      together: images of a batch, so that any n has one program; 0: as many as there are. Large ones are fewer.
    """
    latents = latents if isinstance(latents, Latents) else Latents(ws=latents)
    count = len(latents.ws)
    batch = _batch(model, together or count)
    starts = range(0, count, batch)
    program = _renderer(noise, dtype)

    def begun(start: int) -> Float32[Array, "B H W C"]:
        rows = np.minimum(np.arange(start, start + batch), count - 1)
        return program(model, jax.tree.map(lambda leaf: np.asarray(leaf)[rows], latents), np.int32(start))

    for start, (images, _) in zip(starts, pairwise(chain(map(begun, starts), [None])), strict=True):
        assert images is not None  # only what follows the last is
        yield np.asarray(images)[: min(batch, count - start)]


def _batch(model: Generator, together: int) -> int:
    return min(together, _BATCH, max(1, _PIXELS // model.config.resolution**2))


def render_images(
    model: Generator, latents: Float[np.ndarray, "n L D"] | Latents, *, noise: Noise = "const", dtype: str = "float32"
) -> Float32[np.ndarray, "n H W C"]:
    """All of the latents, or of ws alone, at once."""
    return np.concatenate(list(render_batches(model, latents, noise=noise, dtype=dtype)))
