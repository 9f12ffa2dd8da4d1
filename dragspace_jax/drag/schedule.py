"""How the learning rate of a drag changes: with time, with the way that is left, and to keep a pace."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dragspace_jax.drag.edit import PUBLISHED_SIDE, DragSettings

_UP, _DOWN = 1.5, 0.5  # the most and the least that a gain may change by in one iteration
_BACK = -0.5  # px: a handle that went back by more is being lost, not slow
_UNSEEN = 1.5  # px: so near its target a handle that is tracked by whole pixels cannot be seen to come nearer
_LEAST, _MOST = 1 / 8, 8.0  # of the gain: what stands still at eight times the rate does not move at eighty


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


def paced_gain(settings: DragSettings, gain: jax.Array, before: jax.Array, left: jax.Array, side: int) -> jax.Array:
    """Turn the learning rate so that handles keep the pace: one step in latents moves some handles by ten pixels and
    others by none.

    Args:
      settings: resolved; its numbers are [B].
      gain: [B], so far.
      before, left: [B], distance of the handle farthest from its target, one iteration ago (infinite at first) and now.
      side: of the image, pixels.

    Returns:
      [B]: the gain by which to multiply the learning rate, 1/8 to 8; 1 where there is no pace to keep.
    """
    pace = jnp.asarray(settings.pace) * (side / PUBLISHED_SIDE)
    wanted = jnp.minimum(pace, before)
    came = before - left
    # Handles are tracked by whole pixels: less than half of what is wanted is too slow, whatever the ratio says.
    ratio = jnp.where(came > 0.5 * wanted, wanted / jnp.maximum(came, 0.5 * wanted), _UP)
    change = jnp.where(came < _BACK, _DOWN, jnp.clip(ratio, _DOWN, jnp.where(left > _UNSEEN, _UP, 1.0)))
    paced = jnp.clip(gain * change, _LEAST, _MOST)
    return jnp.where(jnp.isfinite(before) & (pace > 0), paced, gain)
