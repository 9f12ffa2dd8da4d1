"""How long the steps of a drag are: a learning rate that changes with time and with the way left, and a pace."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dragspace_jax.drag.settings import PUBLISHED_SIDE, DragSettings

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


def paced_descent(settings: DragSettings, lane: jax.Array, motion: jax.Array, far: jax.Array, side: int) -> jax.Array:
    """By how much each handle's motion loss falls where the handle moves at the pace, were the loss linear.

    One step in latents moves some handles by ten pixels and others by none, but what it will do can be said before it
    is taken. The least of the motion loss is known: it is zero once the features have moved by the pixel that it pulls
    them (below 1 px, by what is left of the way). So a step along which it falls by a share of itself moves them by
    about that share of the pixel. On the embedded models handles then go 0.8 of what is said, in the median.

    Args:
      settings: resolved; its numbers are [B].
      lane: int32 [N], of each handle.
      motion: [N], each handle's motion loss.
      far: [N], distance to its target, pixels.
      side: of the image, pixels.

    Returns:
      [N]: zero where there is no pace to keep.
    """
    pace = jnp.asarray(settings.pace)[lane] * (side / PUBLISHED_SIDE)
    pulled = jnp.minimum(far, 1.0)
    return motion * jnp.minimum(pace, far) / jnp.where(pulled > 0, pulled, 1.0)


def paced_stretch(settings: DragSettings, descent: jax.Array, wanted: jax.Array) -> jax.Array:
    """By how much to lengthen a step, so that handles move at the pace.

    It is a Polyak step (Polyak 1969) for a loss whose least is zero, asked to go on for as many pixels as the pace.

    Args:
      settings: resolved; its numbers are [B].
      descent: [B], by how much the whole loss falls along the step, were it linear; the mask's term is part of it.
      wanted: [B], by how much the motion loss shall: the sum of `paced_descent` over the lane's handles.

    Returns:
      [B]: what to multiply the step by, 1/8 to 8; 1 where there is no pace to keep or the step leads uphill.
    """
    known = (jnp.asarray(settings.pace) > 0) & (descent > 0) & (wanted > 0)
    return jnp.where(known, jnp.clip(wanted / jnp.where(known, descent, 1.0), _LEAST, _MOST), 1.0)
