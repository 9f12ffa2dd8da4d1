"""Step sizes of a drag that accept every step: a rate, and what the study compares with it, a schedule and a pace."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32

from dragspace_jax.drag.method import Limits
from dragspace_jax.drag.state import DragState, Lanes, Point, per_lane


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Rate:
    """The learning rate, in every iteration: the published loop."""

    keeps = False

    def init(self, lanes: Lanes) -> None:
        """Nothing to remember."""

    def judge(self, lanes: Lanes, state: DragState, trial: Point) -> tuple[Bool[Array, " B={lanes.count}"], None]:
        """Every step is accepted."""
        del state, trial
        return jnp.ones(lanes.count, bool), None

    def limits(self, lanes: Lanes, point: Point, size: None, iteration: Int32[Array, " B={lanes.count}"]) -> Limits:
        """The settings' learning rate."""
        return Limits(rate=jnp.asarray(lanes.settings.learning_rate))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule(Rate):
    """A learning rate that falls with time and with the way left; what it brought, docs/study says.

    Attributes:
      half_life: iterations in which the learning rate halves; 0: it stays.
      slow_down: distance of the farthest handle to its target below which the rate falls in proportion, in pixels of
        the image; 0: it does not.
    """

    half_life: float | jax.Array = 0.0
    slow_down: float | jax.Array = 0.0

    def limits(self, lanes: Lanes, point: Point, size: None, iteration: Int32[Array, " B={lanes.count}"]) -> Limits:
        """`learning_rate`, halved every `half_life` iterations, and in proportion to the way left below `slow_down`."""
        half_life, slow_down = jnp.asarray(self.half_life), jnp.asarray(self.slow_down)
        halvings = iteration.astype(jnp.float32) / jnp.where(half_life > 0, half_life, 1.0)
        share = jnp.minimum(point.progress.left / jnp.where(slow_down > 0, slow_down, 1.0), 1.0)
        rate = lanes.settings.learning_rate * jnp.exp2(-jnp.where(half_life > 0, halvings, 0.0))
        return Limits(rate=rate * jnp.where(slow_down > 0, share, 1.0))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace(Rate):
    """Steps as long as they must be for handles to come nearer by a pace; what it brought, docs/study says.

    One step in latents moves some handles by ten pixels and others by none, but what it will do can be said before it
    is taken. The least of the motion loss is known: it is zero once the features have moved by the pixel that it pulls
    them (below 1 px, by what is left of the way). So a step along which it falls by a share of itself moves them by
    about that share of the pixel. On the embedded models handles then go 0.8 of what is said, in the median.

    Attributes:
      pace: pixels of the image by which the farthest handle shall come nearer in an iteration.
    """

    pace: float | jax.Array

    def limits(self, lanes: Lanes, point: Point, size: None, iteration: Int32[Array, " B={lanes.count}"]) -> Limits:
        """The learning rate, and by how much the motion loss falls where the handles move at the pace."""
        lane, far = lanes.handles.lane, point.progress.distances
        pace = jnp.broadcast_to(jnp.asarray(self.pace), (lanes.count,))[lane]
        pulled = jnp.minimum(far, 1.0)
        descent = point.terms.value * jnp.minimum(pace, far) / jnp.where(pulled > 0, pulled, 1.0)
        return Limits(rate=jnp.asarray(lanes.settings.learning_rate), descent=per_lane(descent, lane, lanes.count))
