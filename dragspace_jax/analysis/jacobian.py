"""Gram matrices of Jacobians: how much of an image, and where, changes per coordinate.

J is d image / d coordinates of a pure function. Only weighted Gram matrices Jᵀ W J leave this module, averaged over
latents: the metric of a least-change drag, and the matrices that region subspaces factor (LowRankGAN, arXiv 2106.04488,
section 3.1).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from dragspace_jax.errors import DragspaceError

Channels = Literal["each", "mean"]
Image = Callable[[Any, jax.Array, jax.Array], jax.Array]
"""(whatever it depends on, a pytree; coordinates [K]; latents of any shape) → [H, W, C]; pure, and one function for
all models, since programs are kept by it: weights belong into the pytree."""
_HIGHEST = jax.lax.Precision.HIGHEST
TOGETHER = 16
"""Columns or rows of J that are computed at once, at most."""
_IN_FLIGHT = 2**25  # numbers of the widest activation over all columns or rows that are computed at once: 128 MiB
_HELD = 2**26  # numbers of J that may be held: 256 MiB


class JacobianError(DragspaceError):
    """A Jacobian that holds numbers that are not finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Passes:
    """How the Gram matrices of one Jacobian are computed.

    Attributes:
      direction: `forward`, J by columns, or `reverse`, by rows.
      count: passes through the function in that direction.
      together: of them at once.
      panels: pieces of the image that are done one after another, each with all columns; 1 in reverse.
    """

    direction: Literal["forward", "reverse"]
    count: int
    together: int
    panels: int


def plan_passes(coordinates: int, outputs: int, *, rows: int = 1, activation: int = 0) -> Passes:
    """The cheaper way to all of J, in bounded memory.

    The rule: weights have no derivatives, so a tangent forward and a cotangent back cost the same, one pass each, and
    the way with fewer passes is taken, forward where they are equal. Forward takes K passes. The Gram matrix needs
    every two columns together; where J has more than 2²⁶ numbers the image is cut into panels of rows, and each panel
    takes all K passes again. Reverse takes a pass a number of the image, and its rows are added up as they come.

    Args:
      coordinates: number K.
      outputs: numbers in the image, H W C.
      rows: H, of which a panel has at least one.
      activation: numbers in the function's widest activation; 0: the image's. As many passes run at once as keep
        these below 2²⁵ numbers, 16 at most.
    """
    panels = min(rows, math.ceil(coordinates * outputs / _HELD))
    together = max(1, min(TOGETHER, _IN_FLIGHT // max(activation, outputs)))
    if coordinates * panels <= outputs:
        return Passes(direction="forward", count=coordinates * panels, together=together, panels=panels)
    return Passes(direction="reverse", count=outputs, together=together, panels=1)


def mean_gram(
    image: Image,
    of: Any,
    points: Iterable[tuple[Float[np.ndarray, " K"], np.ndarray]],
    weights: Float[np.ndarray, "G H W"],
    *,
    channels: Channels = "each",
    activation: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> Float32[np.ndarray, "G K K"]:
    """Mean over points of Jᵀ W J / (H W C), one matrix for each set of weights.

    J is found as `plan_passes` says, and is not kept from one point to the next.

    Args:
      image: the function.
      of: its first argument.
      points: pairs of coordinates [K] and latents at which J is taken.
      weights: [G, H, W], of the pixels, not negative.
      channels: J of each channel, or of their mean (C counts as 1 then).
      activation: numbers in the function's widest activation; 0: the image's.
      on_progress: called with 1 after every point.

    Returns:
      Symmetric matrices.

    Raises:
      ValueError: no points.
      JacobianError: a Jacobian that is not finite.
    """
    total, count = None, 0
    for coordinates, latents in points:
        found = gram(
            image, of, jnp.asarray(coordinates), jnp.asarray(latents), jnp.asarray(weights), channels, activation
        )
        if not np.isfinite(np.asarray(found)).all():
            raise JacobianError(
                f"the Jacobian at point {count + 1} holds numbers that are not finite: the latents are too far out, "
                "or the model is not whole"
            )
        total = found if total is None else total + found
        count += 1
        if on_progress is not None:
            on_progress(1)
    if total is None:
        raise ValueError("a mean Gram matrix needs at least one point")
    return np.asarray(total / count)


@partial(jax.jit, static_argnums=(0, 5, 6))
def gram(
    image: Image,
    of: Any,
    at: jax.Array,
    latents: jax.Array,
    weights: jax.Array,
    channels: Channels,
    activation: int = 0,
) -> jax.Array:
    """Jᵀ W J / (H W C) at one point, [G, K, K]; arguments as in `mean_gram`."""

    def treated(coordinates: jax.Array) -> jax.Array:
        picture = image(of, coordinates, latents)
        return jnp.mean(picture, -1, keepdims=True) if channels == "mean" else picture

    shape = jax.eval_shape(treated, at).shape
    numbers = math.prod(shape)
    passes = plan_passes(at.shape[0], numbers, rows=shape[0], activation=activation)
    if passes.direction == "reverse":
        return _reverse(treated, at, weights, passes.together) / numbers
    return _panels(treated, at, weights, passes) / numbers


def _panels(image: Callable[[jax.Array], jax.Array], at: jax.Array, weights: jax.Array, passes: Passes) -> jax.Array:
    """[G, K, K] of J by columns, panel by panel. The last panel is moved up to fit, its first rows weigh nothing."""
    if passes.panels == 1:
        return _forward(image, at, weights, passes.together)
    height = weights.shape[1]
    rows = math.ceil(height / passes.panels)

    def add(total: jax.Array, first: jax.Array) -> tuple[jax.Array, None]:
        start = jnp.minimum(first, height - rows)

        def panel(coordinates: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice_in_dim(image(coordinates), start, rows)

        new = (start + jnp.arange(rows, dtype=jnp.int32)) >= first
        weight = jax.lax.dynamic_slice_in_dim(weights, start, rows, axis=1) * new[None, :, None].astype(weights.dtype)
        return total + _forward(panel, at, weight, passes.together), None

    starts = jnp.arange(0, height, rows, dtype=jnp.int32)
    return jax.lax.scan(add, jnp.zeros((weights.shape[0], at.shape[0], at.shape[0])), starts)[0]


def _forward(image: Callable[[jax.Array], jax.Array], at: jax.Array, weights: jax.Array, together: int) -> jax.Array:
    """[G, K, K] of J by columns."""
    count = at.shape[0]
    # Filled up with zeros, or the rest would be a program of its own.
    tangents = jnp.eye(math.ceil(count / together) * together, count)
    columns = jax.lax.map(lambda t: jax.jvp(image, (at,), (t,))[1], tangents, batch_size=together)[:count]
    flat = columns.reshape(count, -1)

    def one(weight: jax.Array) -> jax.Array:
        by_number = jnp.broadcast_to(weight[:, :, None], columns.shape[1:]).reshape(-1)
        return jnp.matmul(flat * by_number[None], flat.T, precision=_HIGHEST)

    return jax.lax.map(one, weights)


def _reverse(image: Callable[[jax.Array], jax.Array], at: jax.Array, weights: jax.Array, together: int) -> jax.Array:
    """[G, K, K] of J by rows, added up as they come."""
    value, pull = jax.vjp(image, at)
    shape, numbers = value.shape, value.size

    def add(total: jax.Array, first: jax.Array) -> tuple[jax.Array, None]:
        index = first + jnp.arange(together, dtype=jnp.int32)
        chosen = (index[:, None] == jnp.arange(numbers, dtype=jnp.int32)[None]).astype(at.dtype)
        rows = jax.vmap(lambda c: pull(c.reshape(shape))[0])(chosen)
        weight = jnp.where(index < numbers, weights.reshape(weights.shape[0], -1)[:, index // shape[2]], 0.0)
        return total + jnp.einsum("gr,rk,rl->gkl", weight, rows, rows, precision=_HIGHEST), None

    starts = jnp.arange(0, numbers, together, dtype=jnp.int32)
    return jax.lax.scan(add, jnp.zeros((weights.shape[0], at.shape[0], at.shape[0])), starts)[0]
