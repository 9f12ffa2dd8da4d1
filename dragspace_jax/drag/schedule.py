"""How the learning rate of a drag changes: with time, with the way that is left, and to keep a pace."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dragspace_jax.drag.edit import PUBLISHED_SIDE, DragSettings

_LEAST, _MOST = 1 / 8, 8.0  # where the loss is far from linear, a step must not run away


def scheduled_rate(settings: DragSettings, iteration: jax.Array, left: jax.Array, side: int) -> jax.Array:
    """The learning rates of an iteration.

    Args:
      settings: resolved; its numbers are [B].
      iteration: int32 [B], iterations done.
      left: [B], distance of the handle farthest from its target, pixels.
      side: of the image, pixels.

    Returns:
      [B]: `learning_rate`, halved every `half_life` iterations, and in proportion to `left` below `slow_down`.
    """
    half_life, slow_down = jnp.asarray(settings.half_life), jnp.asarray(settings.slow_down) * (side / PUBLISHED_SIDE)
    halvings = jnp.where(half_life > 0, iteration.astype(jnp.float32) / jnp.where(half_life > 0, half_life, 1.0), 0.0)
    share = jnp.where(slow_down > 0, jnp.minimum(left / jnp.where(slow_down > 0, slow_down, 1.0), 1.0), 1.0)
    return settings.learning_rate * jnp.exp2(-halvings) * share


def paced_stretch(settings: DragSettings, descent: jax.Array, loss: jax.Array, left: jax.Array, side: int) -> jax.Array:
    """By how much to lengthen a step, so that handles move at the pace: a Polyak step for the motion loss.

    One step in latents moves some handles by ten pixels and others by none, but what it will do can be said before it
    is taken. The least of the motion loss is known: it is zero once the features have moved by the pixel that it pulls
    them. So a step whose descent is a share of the loss moves them by about that share of the pixel (Polyak 1969 takes
    the length at which the share is one). On the embedded models handles then go 0.8 of what is said, in the median.

    Args:
      settings: resolved; its numbers are [B].
      descent: [B], by how much the loss falls along the step, were it linear.
      loss: [B], the motion loss before the step.
      left: [B], distance of the handle farthest from its target, pixels.
      side: of the image, pixels.

    Returns:
      [B]: what to multiply the step by, 1/8 to 8; 1 where there is no pace to keep or the step leads uphill.
    """
    pace = jnp.asarray(settings.pace) * (side / PUBLISHED_SIDE)
    pulled = jnp.minimum(left, 1.0)  # px, by the loss
    known = (pace > 0) & (descent > 0) & (loss > 0)
    moved = pulled * descent / jnp.where(known, loss, 1.0)
    stretch = jnp.minimum(pace, left) / jnp.where(known, moved, 1.0)
    return jnp.where(known, jnp.clip(stretch, _LEAST, _MOST), 1.0)
