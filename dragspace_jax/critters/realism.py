"""How far a picture is from anything that the renderer draws: the squared error to its nearest drawing.

The search begins at the attributes that the predictor reads off the picture and follows the gradient through `render`.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.critters.predictor import SIDE, Predictor, predict, scaled_attributes, unscaled_attributes
from dragspace_jax.critters.renderer import render

STEPS = 60
"""Of Adam, on the attributes; enough for a drawing to find itself."""
_BETAS = (0.9, 0.99)
_RATE = 0.05  # in units of half an attribute's range


def _rates(steps: int) -> np.ndarray:
    """Adam's rates [steps], its corrections for the first steps in them; they fall to zero by a cosine."""
    step = np.arange(steps)
    corrected = np.sqrt(1.0 - _BETAS[1] ** (step + 1)) / (1.0 - _BETAS[0] ** (step + 1))
    return np.asarray(_RATE * 0.5 * (1.0 + np.cos(np.pi * step / steps)) * corrected, np.float32)


@partial(jax.jit, static_argnums=(0, 3))
def _search(kind: str, images: jax.Array, read: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    def one(picture: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        image, start = picture

        def error(scaled: jax.Array) -> jax.Array:
            return jnp.mean(jnp.square(render(kind, unscaled_attributes(scaled[None]), SIDE).image[0] - image))

        def step(carry: tuple[jax.Array, ...], rate: jax.Array) -> tuple[tuple[jax.Array, ...], None]:
            scaled, first, second, best, least = carry
            value, gradient = jax.value_and_grad(error)(scaled)
            best, least = jnp.where(value < least, scaled, best), jnp.minimum(value, least)
            first = _BETAS[0] * first + (1.0 - _BETAS[0]) * gradient
            second = _BETAS[1] * second + (1.0 - _BETAS[1]) * jnp.square(gradient)
            scaled = jnp.clip(scaled - rate * first / (jnp.sqrt(second) + 1e-8), -1.0, 1.0)
            return (scaled, first, second, best, least), None

        scaled = jnp.clip(start, -1.0, 1.0)
        carry = (scaled, jnp.zeros_like(scaled), jnp.zeros_like(scaled), scaled, jnp.float32(jnp.inf))
        (_, _, _, best, least), _ = jax.lax.scan(step, carry, jnp.asarray(_rates(steps)))
        return unscaled_attributes(best[None])[0], least

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
