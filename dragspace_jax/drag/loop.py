"""The published drag loop, compiled (DESIGN §5), cut at the seams of space, patch reader, solver and outcome.

It runs B lanes at once, one edit each, and N handles, each of which knows its lane: edits with few and with many
handles share a batch without padding. `begin` sets lanes up, `step` is one iteration, `advance` the same as a compiled
program. One lane alone is a drag of its own.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from dragspace_jax.drag.edit import Outcome
from dragspace_jax.drag.features import Engine
from dragspace_jax.drag.masking import mask_loss
from dragspace_jax.drag.motion import distances, motion_loss
from dragspace_jax.drag.schedule import paced_descent, paced_stretch, scheduled_rate
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.drag.solvers import SolverState, make_solver
from dragspace_jax.drag.tracking import features_at, track
from dragspace_jax.spaces import Base, Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Lanes:
    """What B edits keep constant while they run.

    Attributes:
      space: each lane's; its arrays have a leading B, so lanes may have different bases of one shape.
      base: what the space does not move; its arrays have a leading B.
      settings: resolved; its numbers are [B].
      mask: [B, H, W] float32, 1 where the image must stay, or None.
      lane: int32 [N], the lane that each handle belongs to.
      targets_yx: [N, 2] float32, pixels.
      valid: bool [N], False for what only fills up the arrays.
    """

    space: Space
    base: Base
    settings: DragSettings
    mask: jax.Array | None
    lane: jax.Array
    targets_yx: jax.Array
    valid: jax.Array

    @classmethod
    def of(cls, start: Start, base: Base) -> Lanes:
        """The lanes of edits whose bases are known."""
        return cls(
            space=start.space,
            base=base,
            settings=start.settings,
            mask=start.mask,
            lane=start.lane,
            targets_yx=start.targets_yx,
            valid=start.valid,
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DragState:
    """What an iteration changes.

    Attributes:
      coordinates: [B, K].
      solver: the solver's state; its arrays have a leading B.
      handles_yx: [N, 2] float32, tracked so far.
      reference: [N, C], features of the handles in the first iteration.
      start_features: [B, R, R, C], the whole maps of the first iteration; None without masks.
      iteration: int32 [B], iterations done.
      nearest: [B], the least sum of the handles' distances to their targets so far, pixels.
      since: int32 [B], iterations since that was reached.
      outcome: int32 [B], an `Outcome`; lanes that are not RUNNING change no more.
    """

    coordinates: jax.Array
    solver: SolverState
    handles_yx: jax.Array
    reference: jax.Array
    start_features: jax.Array | None
    iteration: jax.Array
    nearest: jax.Array
    since: jax.Array
    outcome: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class StepInfo:
    """What an iteration tells.

    Attributes:
      handles_yx: [N, 2] float32, tracked in this iteration, before its update.
      ws: [B, L, D], latents after it.
      loss: [B], before the update.
    """

    handles_yx: jax.Array
    ws: jax.Array
    loss: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """Edits as arrays: what `begin` turns into lanes.

    Attributes:
      ws: [B, L, D], latents to start from.
      handles_yx: [N, 2] float32, whole pixels.
      space, settings, mask, lane, targets_yx, valid: as in `Lanes`.
    """

    space: Space
    ws: jax.Array
    handles_yx: jax.Array
    settings: DragSettings
    mask: jax.Array | None
    lane: jax.Array
    targets_yx: jax.Array
    valid: jax.Array


def begin(engine: Engine, start: Start) -> tuple[Lanes, DragState]:
    """Set up lanes; features are first computed by the first iteration."""
    count, handles = start.ws.shape[0], start.handles_yx.shape[0]
    coordinates, base = jax.vmap(lambda space, ws: space.encode(engine.model, ws))(start.space, start.ws)
    block = engine.plan.top
    channels = engine.model.config.block_channels(block)
    state = DragState(
        coordinates=coordinates,
        solver=jax.vmap(lambda settings, x: make_solver(settings).init(x))(start.settings, coordinates),
        handles_yx=start.handles_yx,
        reference=jnp.zeros((handles, channels)),
        start_features=None if start.mask is None else jnp.zeros((count, block, block, channels)),
        iteration=jnp.zeros(count, jnp.int32),
        nearest=jnp.full(count, jnp.inf),
        since=jnp.zeros(count, jnp.int32),
        outcome=jnp.full(count, Outcome.RUNNING, jnp.int32),
    )
    return Lanes.of(start, base), state


def latents(lanes: Lanes, state: DragState) -> jax.Array:
    """The lanes' latents: [B, L, D]."""
    return jax.vmap(lambda space, x, base: space.latents(x, base))(lanes.space, state.coordinates, lanes.base)


Seen = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array | None]
"""Beside the objective: loss [B], each handle's motion loss [N], handles [N, 2], references [N, C], the first maps."""


def step(engine: Engine, lanes: Lanes, state: DragState) -> tuple[DragState, StepInfo]:
    """One iteration: synthesise, track, test for the stop, loss, update (the order of DESIGN §5.4).

    An iteration that reaches the targets, or meets a number that is not finite, makes no update.
    """
    side, settings, lane = engine.model.config.resolution, lanes.settings, lanes.lane
    count = state.coordinates.shape[0]
    first = state.iteration == 0
    tolerance = jnp.asarray(settings.tolerance)[lane]

    def objective(coordinates: jax.Array) -> tuple[jax.Array, Seen]:
        decode = jax.vmap(lambda space, x, base: space.decode(engine.model, x, base))
        styles = decode(lanes.space, coordinates, lanes.base)
        reader = engine.read({name: style[:, 0] for name, style in styles.items()}, state.handles_yx, lane, settings)
        frozen = jax.tree.map(jax.lax.stop_gradient, reader)
        reference = jnp.where(first[lane][:, None], features_at(frozen, state.handles_yx), state.reference)
        handles = track(frozen, reference, state.handles_yx, settings.pixels(settings.radius_track, side))
        radius = settings.pixels(settings.radius_motion, side)
        motion = motion_loss(reader, handles, lanes.targets_yx, lanes.valid, radius, tolerance)
        loss, start = _per_lane(motion, lane, count), state.start_features
        if lanes.mask is not None and start is not None:
            start = jnp.where(first[:, None, None, None], frozen.features, start)
            # No change yet at first; rounding would make one, and the loss has a kink there.
            weight = jnp.where(first, 0.0, settings.mask_weight)
            loss += weight * jax.vmap(mask_loss)(reader.features, start, lanes.mask)
        # Lanes do not touch each other, so the gradient of the sum is each lane's own.
        return jnp.sum(loss), (loss, motion, handles, reference, start)

    (_, (loss, motion, handles, reference, start)), gradient = jax.value_and_grad(objective, has_aux=True)(
        state.coordinates
    )
    far = jnp.where(lanes.valid, distances(handles, lanes.targets_yx), 0.0)
    total = _per_lane(far, lane, count)
    left = jnp.max(far)[None] if count == 1 else jnp.zeros(count, far.dtype).at[lane].max(far)
    rate = scheduled_rate(settings, state.iteration, left, side)
    coordinates, solver = jax.vmap(lambda settings, *moved: make_solver(settings).step(*moved))(
        dataclasses.replace(settings, learning_rate=rate), gradient, state.solver, state.coordinates
    )
    if settings.paced:
        moved = coordinates - state.coordinates
        wanted = _per_lane(paced_descent(settings, lane, motion, far, side), lane, count)
        stretch = paced_stretch(settings, -jnp.sum(gradient * moved, 1), wanted)
        coordinates = state.coordinates + stretch[:, None] * moved
    nearer = total < state.nearest
    since = jnp.where(nearer, 0, state.since + 1)
    iteration = state.iteration + 1
    reached = _per_lane((far > tolerance).astype(jnp.int32), lane, count) == 0
    finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(coordinates), 1)
    ends = {
        Outcome.NOT_FINITE: ~finite,
        Outcome.REACHED: reached,
        Outcome.STEP_LIMIT: iteration >= settings.steps,
        Outcome.STALLED: (settings.stall > 0) & (since >= settings.stall),
    }
    outcome = jnp.select(
        list(ends.values()),
        [jnp.full(count, end, jnp.int32) for end in ends],
        jnp.full(count, Outcome.RUNNING, jnp.int32),
    )

    running = state.outcome == Outcome.RUNNING
    moves = running & finite & ~reached
    after = DragState(
        coordinates=_where_lane(moves, coordinates, state.coordinates),
        solver=jax.tree.map(lambda new, old: _where_lane(moves, new, old), solver, state.solver),
        handles_yx=_where_lane(running[lane], handles, state.handles_yx),
        reference=reference,
        start_features=start,
        iteration=jnp.where(running, iteration, state.iteration),
        nearest=jnp.where(running & nearer, total, state.nearest),
        since=jnp.where(running, since, state.since),
        outcome=jnp.where(running, outcome, state.outcome),
    )
    return after, StepInfo(handles_yx=after.handles_yx, ws=latents(lanes, after), loss=loss)


def _per_lane(values: jax.Array, lane: jax.Array, count: int) -> jax.Array:
    """Sums of the handles' values [N] by lane: [B]."""
    return jnp.sum(values)[None] if count == 1 else jnp.zeros(count, values.dtype).at[lane].add(values)


def _where_lane(chosen: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """`new` where the row is chosen [B], else `old`, both [B, …]."""
    return jnp.where(chosen.reshape(chosen.shape + (1,) * (new.ndim - 1)), new, old)


@partial(jax.jit, donate_argnames=("state",))
def advance(engine: Engine, lanes: Lanes, state: DragState) -> tuple[DragState, StepInfo]:
    """`step` as a compiled program; `state` is donated."""
    return step(engine, lanes, state)


begin_compiled = jax.jit(begin)
"""`begin` as a compiled program."""
latents_compiled = jax.jit(latents)
"""`latents` as a compiled program."""
