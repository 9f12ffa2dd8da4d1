"""How far handles may be asked to go in a step, by how well the last step was foreseen."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32

from dragspace_jax.drag.method import Limits
from dragspace_jax.drag.settings import PUBLISHED_SIDE
from dragspace_jax.drag.state import DragState, Lanes, Point


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrustRegion:
    """Grows and shrinks the pixels of a step by tracked against predicted motion; goes back from steps that lead away.

    Attributes:
      first: pixels of a 512 px image that a handle may go in the first step; at most `most` in a later one.
      slack: pixels of the image by which a step may lead away and still be accepted.
    """

    side: int = dataclasses.field(metadata={"static": True})
    first: Any = 32.0
    most: Any = 48.0
    slack: Any = 0.5

    keeps = True

    def init(self, lanes: Lanes) -> Float32[Array, " B={lanes.count}"]:
        """The radius [B], pixels."""
        return jnp.broadcast_to(jnp.asarray(self.first) * (self.side / PUBLISHED_SIDE), (lanes.count,))

    def judge(
        self, lanes: Lanes, state: DragState, trial: Point
    ) -> tuple[Bool[Array, " B={lanes.count}"], Float32[Array, " B={lanes.count}"]]:
        """Whether the trial comes nearer than the last accepted point, and the radius after it."""
        first = state.iteration == 0
        lane = lanes.handles.lane
        before, after = state.accepted.progress, trial.progress
        nearer = after.left <= before.left + jnp.asarray(self.slack)
        accepts = first | nearer
        asked = state.predicted.value - before.handles_yx
        missed = jnp.sqrt(jnp.sum(jnp.square(after.handles_yx - state.predicted.value), -1))
        asked = jnp.sqrt(jnp.sum(jnp.square(asked), -1))
        zero = jnp.zeros(lanes.count)
        missed, asked = zero.at[lane].max(missed), zero.at[lane].max(asked)
        ratio = missed / jnp.maximum(asked, 1e-3)
        radius = state.size
        most = jnp.asarray(self.most) * (self.side / PUBLISHED_SIDE)
        grown = jnp.where(ratio < 0.25, 2.0, jnp.where(ratio < 0.5, 1.0, 0.5))
        new = jnp.where(nearer, jnp.minimum(radius * grown, most), jnp.minimum(radius, asked) * 0.5)
        return accepts, jnp.where(first, radius, jnp.maximum(new, 0.1))

    def limits(
        self,
        lanes: Lanes,
        point: Point,
        size: Float32[Array, " B={lanes.count}"],
        iteration: Int32[Array, " B={lanes.count}"],
    ) -> Limits:
        """The radius."""
        del iteration
        return Limits(radius=size)
