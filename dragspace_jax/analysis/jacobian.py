"""Gram matrices of Jacobians: how much of an image, and where, changes per coordinate.

J is d image / d coordinates of a pure function. Only weighted Gram matrices Jᵀ W J leave this module, averaged over
latents: the metric of a least-change drag, and the matrices that region subspaces factor (LowRankGAN, arXiv 2106.04488,
section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

Channels = Literal["each", "mean"]
Image = Callable[[Any, jax.Array, jax.Array], jax.Array]
"""(whatever it depends on, a pytree; coordinates [K]; latents of any shape) → [H, W, C]; pure, and one function for
all models, since programs are kept by it: weights belong into the pytree."""
_HIGHEST = jax.lax.Precision.HIGHEST
TOGETHER = 16
"""Columns or rows of J that are computed at once; they bound the memory."""


def mean_gram(
    image: Image,
    of: Any,
    points: Iterable[tuple[Float[np.ndarray, " K"], np.ndarray]],
    weights: Float[np.ndarray, "G H W"],
    *,
    channels: Channels = "each",
    on_progress: Callable[[int], None] | None = None,
) -> Float32[np.ndarray, "G K K"]:
    """Mean over points of Jᵀ W J / (H W C), one matrix for each set of weights.

    J is found column by column (forward) where there are fewer coordinates than numbers in the image, else row by row
    (reverse), some at a time, and is not kept from one point to the next. Forward, all of one point's J [K, H, W, C] is
    held, so the image should be a small one.

    Args:
      image: the function.
      of: its first argument.
      points: pairs of coordinates [K] and latents at which J is taken.
      weights: [G, H, W], of the pixels, not negative.
      channels: J of each channel, or of their mean (C counts as 1 then).
      on_progress: called with 1 after every point.

    Returns:
      Symmetric matrices.

    Raises:
      ValueError: no points.
    """
    total, count = None, 0
    for coordinates, latents in points:
        found = gram(image, of, jnp.asarray(coordinates), jnp.asarray(latents), jnp.asarray(weights), channels)
        total = found if total is None else total + found
        count += 1
        jax.block_until_ready(total)
        if on_progress is not None:
            on_progress(1)
    if total is None:
        raise ValueError("a mean Gram matrix needs at least one point")
    return np.asarray(total / count)


@partial(jax.jit, static_argnums=(0, 5))
def gram(image: Image, of: Any, at: jax.Array, latents: jax.Array, weights: jax.Array, channels: Channels) -> jax.Array:
    """Jᵀ W J / (H W C) at one point, [G, K, K]; arguments as in `mean_gram`."""

    def treated(coordinates: jax.Array) -> jax.Array:
        picture = image(of, coordinates, latents)
        return jnp.mean(picture, -1, keepdims=True) if channels == "mean" else picture

    numbers = math.prod(jax.eval_shape(treated, at).shape)
    columns_or_rows = _forward if at.shape[0] <= numbers else _reverse
    return columns_or_rows(treated, at, weights) / numbers


def _forward(image: Callable[[jax.Array], jax.Array], at: jax.Array, weights: jax.Array) -> jax.Array:
    """[G, K, K] of J by columns."""
    count = at.shape[0]
    # Filled up with zeros, or the rest would be a program of its own.
    tangents = jnp.eye(math.ceil(count / TOGETHER) * TOGETHER, count)
    columns = jax.lax.map(lambda t: jax.jvp(image, (at,), (t,))[1], tangents, batch_size=TOGETHER)[:count]
    flat = columns.reshape(count, -1)

    def one(weight: jax.Array) -> jax.Array:
        by_number = jnp.broadcast_to(weight[:, :, None], columns.shape[1:]).reshape(-1)
        return jnp.matmul(flat * by_number[None], flat.T, precision=_HIGHEST)

    return jax.lax.map(one, weights)


def _reverse(image: Callable[[jax.Array], jax.Array], at: jax.Array, weights: jax.Array) -> jax.Array:
    """[G, K, K] of J by rows, added up as they come."""
    value, pull = jax.vjp(image, at)
    shape, numbers = value.shape, value.size

    def add(total: jax.Array, first: jax.Array) -> tuple[jax.Array, None]:
        index = first + jnp.arange(TOGETHER, dtype=jnp.int32)
        chosen = (index[:, None] == jnp.arange(numbers, dtype=jnp.int32)[None]).astype(at.dtype)
        rows = jax.vmap(lambda c: pull(c.reshape(shape))[0])(chosen)
        weight = jnp.where(index < numbers, weights.reshape(weights.shape[0], -1)[:, index // shape[2]], 0.0)
        return total + jnp.einsum("gr,rk,rl->gkl", weight, rows, rows, precision=_HIGHEST), None

    starts = jnp.arange(0, numbers, TOGETHER, dtype=jnp.int32)
    return jax.lax.scan(add, jnp.zeros((weights.shape[0], at.shape[0], at.shape[0])), starts)[0]
