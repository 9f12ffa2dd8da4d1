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

_GOOD, _FAIR = 0.25, 0.5  # missed of what was asked: the radius doubles, stays, or else halves
_LEAST = 1 / 16  # of the first radius
_SMALLEST = 0.2  # of a step: no share below leads on
_EASED = 0.2  # what is left of the ease after each step that leads away


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrustRegion:
    """Grows and shrinks the pixels of a step by tracked against predicted motion; goes back from steps that lead away.

    A rejected step is tried again by half, and what the direction would like beside the motion is eased: without that a
    fifth of the drags of the study ends short of its target. Where no share leads on, the region starts anew.

    Attributes:
      side: of the image, pixels (static).
      first, most: pixels of a 512 px image that a handle may go in the first step, and at most in a later one.
      slack: pixels of the image by which a step may lead away and still be accepted.
    """

    side: int = dataclasses.field(metadata={"static": True})
    first: Any = 32.0
    most: Any = 48.0
    slack: Any = 0.5

    keeps = True

    def init(self, lanes: Lanes) -> dict[str, jax.Array]:
        """radius [B], pixels; share and ease [B], as in `Limits`."""
        one = jnp.ones(lanes.count)
        return {"radius": self._first(lanes), "share": one, "ease": one}

    def judge(
        self, lanes: Lanes, state: DragState, trial: Point
    ) -> tuple[Bool[Array, " B={lanes.count}"], dict[str, jax.Array]]:
        """Whether the trial comes nearer than the last accepted point, and the limits after it."""
        first, size, lane = state.iteration == 0, state.size, lanes.handles.lane
        before, after = state.accepted.progress, trial.progress
        accepts = first | (after.left <= before.left + jnp.asarray(self.slack))

        def farthest(way: Float32[Array, "N 2"]) -> Float32[Array, " B"]:
            return jnp.zeros(lanes.count).at[lane].max(jnp.sqrt(jnp.sum(jnp.square(way), 1)))

        asked = farthest(state.predicted.value - before.handles_yx)
        missed = farthest(after.handles_yx - state.predicted.value) / jnp.maximum(asked, 1e-3)
        grown = jnp.select([missed < _GOOD, missed < _FAIR], [jnp.full_like(missed, 2.0), jnp.ones_like(missed)], 0.5)
        most = jnp.asarray(self.most) * (self.side / PUBLISHED_SIDE)
        radius = jnp.clip(size["radius"] * jnp.where(accepts, grown, 1.0), _LEAST * self._first(lanes), most)
        share = jnp.where(accepts, jnp.minimum(2.0 * size["share"], 1.0), 0.5 * size["share"])
        stuck = share < _SMALLEST
        new = {
            "radius": jnp.where(stuck, self._first(lanes), radius),
            "share": jnp.where(stuck, 1.0, share),
            "ease": jnp.where(accepts, size["ease"], _EASED * size["ease"]),
        }
        return accepts, {name: jnp.where(first, size[name], value) for name, value in new.items()}

    def limits(
        self,
        lanes: Lanes,
        point: Point,
        size: dict[str, jax.Array],
        iteration: Int32[Array, " B={lanes.count}"],
    ) -> Limits:
        """The state's numbers."""
        del lanes, point, iteration
        return Limits(radius=size["radius"], share=size["share"], ease=size["ease"])

    def _first(self, lanes: Lanes) -> Float32[Array, " B={lanes.count}"]:
        return jnp.broadcast_to(jnp.asarray(self.first, jnp.float32) * (self.side / PUBLISHED_SIDE), (lanes.count,))
