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
from dragspace_jax.drag.motion import distances, mask_loss, motion_loss
from dragspace_jax.drag.patches import PatchReader, whole_map_reader
from dragspace_jax.drag.tracking import features_at, track
from dragspace_jax.spaces import Base, Space
from dragspace_jax.stylegan2 import Generator, Styles
from dragspace_jax.stylegan2.tile import Tile


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
      outcome: int32 [], an `Outcome`.
    """

    coordinates: jax.Array
    solver: SolverState
    handles_yx: jax.Array
    iteration: jax.Array
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


def _read(model: Generator, styles: Styles, settings: DragSettings) -> PatchReader:
    block = settings.feature_block
    assert block is not None  # `DragSettings.resolved` filled it in
    # float32 means float32: accelerators would otherwise convolve with fewer bits and lose the published trajectory.
    with jax.default_matmul_precision("highest" if settings.dtype == "float32" else "default"):
        output = model.synthesis.render(
            styles, noise=settings.noise, features=(block,), stop_at=block, dtype=jnp.dtype(settings.dtype)
        )
    return whole_map_reader(Tile.whole(output.features[block]), model.config.resolution)


def begin(model: Generator, space: Space, edit: Edit, ws: jax.Array, settings: DragSettings) -> tuple[Lane, DragState]:
    """Set up a lane: ws [L, D], resolved settings → its constants and first state."""
    coordinates, base = space.encode(model, ws)
    reader = _read(model, space.decode(model, coordinates, base), settings)
    lane = Lane(
        edit=edit,
        base=base,
        reference=features_at(reader, edit.handles_yx),
        start_features=None if edit.mask is None else reader.features,
    )
    state = DragState(
        coordinates=coordinates,
        solver=Adam(settings.learning_rate).init(coordinates),
        handles_yx=edit.handles_yx,
        iteration=jnp.zeros((), jnp.int32),
        outcome=jnp.full((), Outcome.RUNNING, jnp.int32),
    )
    return lane, state


def step(
    model: Generator, space: Space, lane: Lane, state: DragState, settings: DragSettings
) -> tuple[DragState, StepInfo]:
    """One iteration: synthesise, track, test for the stop, loss, update (the order of DESIGN §5.4).

    An iteration that reaches the targets, or meets a number that is not finite, makes no update.
    """
    side, edit = model.config.resolution, lane.edit

    def objective(coordinates: jax.Array) -> tuple[jax.Array, jax.Array]:
        reader = _read(model, space.decode(model, coordinates, lane.base), settings)
        radius = settings.pixels(settings.radius_track, side)
        frozen = jax.tree.map(jax.lax.stop_gradient, reader)
        handles = track(frozen, lane.reference, state.handles_yx, radius)
        loss = motion_loss(reader, handles, edit.targets_yx, settings.pixels(settings.radius_motion, side))
        if edit.mask is not None and lane.start_features is not None:
            # The very numbers of this iteration at first: another program's differ in the last bit, and the loss has
            # a kink at zero change.
            start = jnp.where(state.iteration == 0, frozen.features, lane.start_features)
            loss += settings.mask_weight * mask_loss(reader, start, edit.mask)
        return loss, handles

    (loss, handles), gradient = jax.value_and_grad(objective, has_aux=True)(state.coordinates)
    solver = Adam(settings.learning_rate)
    coordinates, solver_state = solver.step(gradient, state.solver, state.coordinates)

    reached = jnp.all(distances(handles, edit.targets_yx) <= stop_distance(side))
    finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(coordinates))
    last = state.iteration + 1 >= settings.steps
    outcome = jnp.select(
        [~finite, reached, last],
        [jnp.int32(Outcome.NOT_FINITE), jnp.int32(Outcome.REACHED), jnp.int32(Outcome.STEP_LIMIT)],
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
        outcome=outcome,
    )
    ws = space.latents(coordinates, lane.base)
    return after, StepInfo(handles_yx=handles, ws=ws, loss=loss)


@partial(jax.jit, donate_argnames=("state",))
def advance(
    model: Generator, space: Space, lane: Lane, state: DragState, settings: DragSettings
) -> tuple[DragState, StepInfo]:
    """`step` as a compiled program; `state` is donated.

    One iteration a call, not a `scan` over several: on a CPU, XLA runs a loop's body with a fraction of the threads
    (256 px config F, 2 cores: 0.5 s an iteration alone, 2.1 s inside a scan).
    """
    return step(model, space, lane, state, settings)


begin_compiled = jax.jit(begin)
"""`begin` as a compiled program."""
