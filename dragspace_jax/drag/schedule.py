"""How the learning rate of a drag falls: with time, and with the way that is left."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dragspace_jax.drag.edit import DragSettings


def scheduled_rate(settings: DragSettings, iteration: jax.Array, far: jax.Array) -> jax.Array:
    """The learning rates of an iteration.

    Args:
      settings: resolved; its numbers are [B].
      iteration: int32 [B], iterations done.
      far: [B], mean distance of the handles to their targets, pixels.

    Returns:
      [B]: `learning_rate`, halved every `half_life` iterations, and in proportion to `far` below `slow_down`.
    """
    half_life, slow_down = jnp.asarray(settings.half_life), jnp.asarray(settings.slow_down)
    halvings = jnp.where(half_life > 0, iteration.astype(jnp.float32) / jnp.where(half_life > 0, half_life, 1.0), 0.0)
    share = jnp.where(slow_down > 0, jnp.minimum(far / jnp.where(slow_down > 0, slow_down, 1.0), 1.0), 1.0)
    return settings.learning_rate * jnp.exp2(-halvings) * share
