"""The arrays of a drag: B lanes, one edit each, and N handles, each of which knows its lane.

Edits with few and with many handles share a batch without padding. Everything that differs from lane to lane has the
lanes as its first axis; what differs from handle to handle stands in a `ByHandle` and has the handles there. Whoever
moves lanes about (`lanes`, `pool`) needs to know no more of an objective's or a solver's state than that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, Num

from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.spaces import Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ByHandle:
    """Marks arrays whose first axis is that of the handles.

    Attributes:
      value: a pytree of arrays [N, ...].
    """

    value: Any


def map_rows(lanes: Callable[..., Any], handles: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Map `lanes` over the arrays that have the lanes first, `handles` over those that have the handles first."""

    def one(leaf: Any, *others: Any) -> Any:
        if isinstance(leaf, ByHandle):
            return jax.tree.map(handles, leaf, *others)
        return lanes(leaf, *others)

    return jax.tree.map(one, tree, *rest, is_leaf=lambda leaf: isinstance(leaf, ByHandle))


def choose(chosen: Bool[Array, " B"], lane: Int32[Array, " N"], new: Any, old: Any) -> Any:
    """`new` in the lanes where chosen [B] holds and in their handles, `old` elsewhere; lane int32 [N]."""
    return choose_rows(chosen, chosen[lane], new, old)


def choose_rows(by_lane: Bool[Array, " B"], by_handle: Bool[Array, " N"], new: Any, old: Any) -> Any:
    """`new` in the lanes by_lane [B] and in the handles by_handle [N], `old` elsewhere."""

    def where(chosen: Bool[Array, " rows"]) -> Callable[..., Any]:
        return lambda n, o: jnp.where(chosen.reshape(chosen.shape + (1,) * (n.ndim - 1)), n, o)

    return map_rows(where(by_lane), where(by_handle), new, old)


def take(tree: Any, lane_from: Int32[Array, " B_new"], handle_from: Int32[Array, " N_new"]) -> Any:
    """The lanes and handles of these indices, [B'] and [N'], int32."""
    return map_rows(lambda x: x[lane_from], lambda x: x[handle_from], tree)


def per_lane(values: Num[Array, " N"], lane: Int32[Array, " N"], lanes: int) -> Num[Array, " B={lanes}"]:
    """Sums of the handles' values [N] by lane: [B]."""
    return jax.ops.segment_sum(values, lane, num_segments=lanes)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Handles:
    """The handles of all lanes.

    Attributes:
      lane: int32 [N], the lane that each belongs to.
      start_yx: [N, 2] float32, where they start, whole pixels.
      targets_yx: [N, 2] float32, pixels.
      valid: bool [N], False for what only fills up the arrays.
    """

    lane: jax.Array
    start_yx: jax.Array
    targets_yx: jax.Array
    valid: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """Edits as arrays: what `begin` turns into lanes.

    Attributes:
      latents: the family's pytree, its arrays with a leading B.
      space: each lane's; its arrays have a leading B, so lanes may have different bases of one shape.
      settings: resolved, with the method; its numbers are [B].
      arrays: what the edits' objectives need, by name, with a leading B: a mask [B, H, W], say.
      handles: of all lanes.
    """

    latents: Any
    space: Space
    settings: DragSettings
    arrays: dict[str, jax.Array]
    handles: Handles


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Lanes:
    """What B edits keep constant while they run.

    Attributes:
      space, settings, arrays, handles: as in `Start`.
      base: what the space does not move; its arrays have a leading B.
      start: [B, K], the coordinates that the edits start from.
    """

    space: Space
    settings: DragSettings
    arrays: dict[str, jax.Array]
    handles: Handles
    base: Any
    start: jax.Array

    @classmethod
    def of(cls, start: Start, base: Any, coordinates: Float32[Array, "B K"]) -> Lanes:
        """The lanes of edits whose bases and first coordinates are known."""
        return cls(
            space=start.space,
            settings=start.settings,
            arrays=start.arrays,
            handles=start.handles,
            base=base,
            start=coordinates,
        )

    @property
    def count(self) -> int:
        """Number B of lanes."""
        return self.start.shape[0]

    @property
    def method(self) -> Any:
        """How the lanes are dragged, a `Method`; its numbers are [B]."""
        return self.settings.method


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the handles are; an objective without handles gives its own measure of what is left.

    Attributes:
      left: [B], distance of the handle farthest from its target, pixels.
      total: [B], sum of the handles' distances, pixels; a lane that brings it no lower has stalled.
      reached: bool [B], nothing is left to do.
      handles: `ByHandle` of (positions [N, 2] as tracked, distances to the targets [N]), pixels.
    """

    left: jax.Array
    total: jax.Array
    reached: jax.Array
    handles: ByHandle

    @property
    def handles_yx(self) -> Float32[Array, "N 2"]:
        """[N, 2], positions as tracked."""
        return self.handles.value[0]

    @property
    def distances(self) -> Float32[Array, " N"]:
        """[N], distances to the targets."""
        return self.handles.value[1]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """What evaluating coordinates found.

    Attributes:
      carry: what the objective carries on from there.
      progress: how far the handles are.
      loss: [B].
      terms: the objective's terms of each handle, a `ByHandle`, or None.
      coordinates: [B, K], those evaluated; None where the step size never goes back to them.
      pulled: what the direction pulled back to the coordinates; None likewise.
    """

    carry: Any
    progress: Progress
    loss: jax.Array
    terms: Any = None
    coordinates: jax.Array | None = None
    pulled: Any = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DragState:
    """What an iteration changes.

    Attributes:
      candidate: [B, K], the coordinates that the next iteration evaluates.
      predicted: what the direction foresees there, or None.
      accepted: the last point that the step size accepted.
      memory: the direction's.
      size: the step size's.
      iteration: int32 [B], iterations done: evaluations, rejected ones included.
      nearest: [B], the least sum of the handles' distances to their targets so far, pixels.
      since: int32 [B], iterations since that was reached.
      outcome: int32 [B], an `Outcome`; lanes that are not RUNNING change no more.
    """

    candidate: jax.Array
    predicted: Any
    accepted: Point
    memory: Any
    size: Any
    iteration: jax.Array
    nearest: jax.Array
    since: jax.Array
    outcome: jax.Array

    @property
    def coordinates(self) -> Float32[Array, "B K"]:
        """[B, K], where the edits are: the last accepted point, or the last update where all are accepted."""
        return self.candidate if self.accepted.coordinates is None else self.accepted.coordinates


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class StepInfo:
    """What an iteration tells.

    Attributes:
      handles_yx: [N, 2] float32, tracked in this iteration, before its update.
      loss: [B], before the update.
      coordinates: [B, K], after it; None where nobody asked.
    """

    handles_yx: jax.Array
    loss: jax.Array
    coordinates: jax.Array | None
