"""The published drag loop, compiled (DESIGN §5), cut at the seams of space, patch reader, solver and outcome.

`begin` makes a lane, `step` is one iteration, `advance` the same as a compiled program; the host calls it until the
outcome says how the drag ended.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from dragspace_jax.drag.adam import Adam, SolverState
from dragspace_jax.drag.edit import DragSettings, Edit, Outcome, stop_distance
from dragspace_jax.drag.features import Engine
from dragspace_jax.drag.motion import distances, mask_loss, motion_loss
from dragspace_jax.drag.tracking import features_at, track
from dragspace_jax.spaces import Base, Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Lane:
    """What one edit keeps constant while it runs.

    Attributes:
      edit: handles, targets, mask.
      base: what the space does not move.
      reference: [N, C], features of the handles at the start.
      start_features: [R, R, C], the whole map at the start; None without a mask.
    """

    edit: Edit
    base: Base
    reference: jax.Array
    start_features: jax.Array | None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DragState:
    """What an iteration changes.

    Attributes:
      coordinates: [K].
      solver: the solver's state.
      handles_yx: [N, 2] float32, tracked so far.
      iteration: int32 [], iterations done.
      nearest: [], the least sum of the handles' distances to their targets so far, pixels.
      since: int32 [], iterations since that was reached.
      outcome: int32 [], an `Outcome`.
    """

    coordinates: jax.Array
    solver: SolverState
    handles_yx: jax.Array
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
      ws: [L, D], latents after it.
      loss: [], before the update.
    """

    handles_yx: jax.Array
    ws: jax.Array
    loss: jax.Array


def begin(engine: Engine, space: Space, edit: Edit, ws: jax.Array, settings: DragSettings) -> tuple[Lane, DragState]:
    """Set up a lane: ws [L, D], resolved settings → its constants and first state."""
    coordinates, base = space.encode(engine.model, ws)
    reader = engine.read(space.decode(engine.model, coordinates, base), edit.handles_yx, settings)
    lane = Lane(
        edit=edit,
        base=base,
        reference=features_at(reader, edit.handles_yx),
        start_features=None if edit.mask is None else reader.features[0],
    )
    state = DragState(
        coordinates=coordinates,
        solver=Adam(settings.learning_rate).init(coordinates),
        handles_yx=edit.handles_yx,
        iteration=jnp.zeros((), jnp.int32),
        nearest=jnp.full((), jnp.inf),
        since=jnp.zeros((), jnp.int32),
        outcome=jnp.full((), Outcome.RUNNING, jnp.int32),
    )
    return lane, state


def step(
    engine: Engine, space: Space, lane: Lane, state: DragState, settings: DragSettings
) -> tuple[DragState, StepInfo]:
    """One iteration: synthesise, track, test for the stop, loss, update (the order of DESIGN §5.4).

    An iteration that reaches the targets, or meets a number that is not finite, makes no update.
    """
    model, edit = engine.model, lane.edit
    side = model.config.resolution

    def objective(coordinates: jax.Array) -> tuple[jax.Array, jax.Array]:
        reader = engine.read(space.decode(model, coordinates, lane.base), state.handles_yx, settings)
        radius = settings.pixels(settings.radius_track, side)
        frozen = jax.tree.map(jax.lax.stop_gradient, reader)
        handles = track(frozen, lane.reference, state.handles_yx, radius)
        loss = motion_loss(reader, handles, edit.targets_yx, edit.valid, settings.pixels(settings.radius_motion, side))
        if edit.mask is not None and lane.start_features is not None:
            # The very numbers of this iteration at first: another program's differ in the last bit, and the loss has
            # a kink at zero change.
            start = jnp.where(state.iteration == 0, frozen.features[0], lane.start_features)
            loss += settings.mask_weight * mask_loss(reader, start, edit.mask)
        return loss, handles

    (loss, handles), gradient = jax.value_and_grad(objective, has_aux=True)(state.coordinates)
    solver = Adam(settings.learning_rate)
    coordinates, solver_state = solver.step(gradient, state.solver, state.coordinates)

    far = jnp.where(edit.valid, distances(handles, edit.targets_yx), 0.0)
    reached = jnp.all(far <= stop_distance(side))
    finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(coordinates))
    nearer = jnp.sum(far) < state.nearest
    since = jnp.where(nearer, 0, state.since + 1)
    outcome = jnp.select(
        [~finite, reached, state.iteration + 1 >= settings.steps, (since >= settings.stall) & (settings.stall > 0)],
        [jnp.int32(o) for o in (Outcome.NOT_FINITE, Outcome.REACHED, Outcome.STEP_LIMIT, Outcome.STALLED)],
        jnp.int32(Outcome.RUNNING),
    )
    keep = ~finite | reached
    coordinates, solver_state = jax.tree.map(
        lambda old, new: jnp.where(keep, old, new),
        (state.coordinates, state.solver),
        (coordinates, solver_state),
    )
    after = DragState(
        coordinates=coordinates,
        solver=solver_state,
        handles_yx=handles,
        iteration=state.iteration + 1,
        nearest=jnp.where(nearer, jnp.sum(far), state.nearest),
        since=since,
        outcome=outcome,
    )
    ws = space.latents(coordinates, lane.base)
    return after, StepInfo(handles_yx=handles, ws=ws, loss=loss)


@partial(jax.jit, donate_argnames=("state",))
def advance(
    engine: Engine, space: Space, lane: Lane, state: DragState, settings: DragSettings
) -> tuple[DragState, StepInfo]:
    """`step` as a compiled program; `state` is donated.

    One iteration a call, not a `scan` over several: on a CPU, XLA runs a loop's body with a fraction of the threads
    (256 px config F, 2 cores: 0.5 s an iteration alone, 2.1 s inside a scan).
    """
    return step(engine, space, lane, state, settings)


begin_compiled = jax.jit(begin)
"""`begin` as a compiled program."""
