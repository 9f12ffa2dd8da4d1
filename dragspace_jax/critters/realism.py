"""How far a picture is from anything that the renderer draws: the squared error to its nearest drawing.

The search begins at the attributes that the predictor reads off the picture and follows the gradient through `render`.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dragspace_jax.critters.attributes import ATTRIBUTES
from dragspace_jax.critters.predictor import SIDE, Predictor, predict, scaled_attributes
from dragspace_jax.critters.renderer import render

STEPS = 100
"""Of Adam, on the attributes; with these a drawing finds itself."""
_RATE = 0.05  # in units of half an attribute's range


@partial(jax.jit, static_argnums=(0, 3))
def _search(kind: str, images: jax.Array, read: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    low, high = (jnp.asarray([getattr(a, end) for a in ATTRIBUTES], jnp.float32) for end in ("low", "high"))
    optimiser = optax.adam(optax.cosine_decay_schedule(_RATE, steps))

    def unscaled(scaled: jax.Array) -> jax.Array:
        return low + (high - low) * 0.5 * (scaled + 1.0)

    def one(picture: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        image, start = picture

        def error(scaled: jax.Array) -> jax.Array:
            return jnp.mean(jnp.square(render(kind, unscaled(scaled)[None], SIDE).image[0] - image))

        def step(carry: tuple, _: None) -> tuple[tuple, None]:
            scaled, state, best, least = carry
            value, gradient = jax.value_and_grad(error)(scaled)
            best, least = jnp.where(value < least, scaled, best), jnp.minimum(value, least)
            updates, state = optimiser.update(gradient, state)
            return (jnp.clip(optax.apply_updates(scaled, updates), -1.0, 1.0), state, best, least), None

        scaled = jnp.clip(start, -1.0, 1.0)
        carry = (scaled, optimiser.init(scaled), scaled, jnp.float32(jnp.inf))
        (_, _, best, least), _ = jax.lax.scan(step, carry, None, length=steps)
        return unscaled(best), least

    return jax.lax.map(one, (images, scaled_attributes(read)))


def nearest_drawing(
    predictor: Predictor, kind: str, images: np.ndarray, *, steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Attributes [B, A] of the drawings nearest to images [B, 128, 128, 3] in [-1, 1], and their squared errors [B].

    Raises:
      PredictorError: pictures that the predictor does not read.
      ValueError: an unknown kind.
    """
    read = predict(predictor, images).attributes
    attributes, errors = _search(kind, jnp.asarray(images, jnp.float32), jnp.asarray(read), steps)
    return np.asarray(attributes), np.asarray(errors)
