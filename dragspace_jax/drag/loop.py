"""The iteration of a drag: evaluate, judge, direct, terminate, freeze; each a function of its own.

`begin` sets lanes up, `step` is one iteration of all of them; what it optimises and how, the lanes' method says. One
lane alone is a drag of its own.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32

from dragspace_jax.drag.edit import Outcome
from dragspace_jax.drag.method import Terms
from dragspace_jax.drag.state import ByHandle, DragState, Lanes, Point, Progress, Start, StepInfo, choose
from dragspace_jax.drag.within import kept_within
from dragspace_jax.networks import Network, Styles


def begin(network: Network, start: Start) -> tuple[Lanes, DragState]:
    """Set up lanes; features are first computed by the first iteration."""
    coordinates, base = jax.vmap(lambda space, latents: space.encode(network, latents))(start.space, start.latents)
    lanes = Lanes.of(start, base, coordinates)
    count, handles = lanes.count, lanes.handles.start_yx
    progress = Progress(
        left=jnp.full(count, jnp.inf),
        total=jnp.full(count, jnp.inf),
        reached=jnp.zeros(count, bool),
        handles=ByHandle((handles, jnp.full(handles.shape[0], jnp.inf))),
    )
    state = DragState(
        candidate=coordinates,
        predicted=None,
        accepted=Point(carry=lanes.method.objective.init(network, lanes), progress=progress, loss=jnp.zeros(count)),
        memory=lanes.method.direction.init(lanes, coordinates),
        size=lanes.method.size.init(lanes),
        iteration=jnp.zeros(count, jnp.int32),
        nearest=jnp.full(count, jnp.inf),
        since=jnp.zeros(count, jnp.int32),
        outcome=jnp.full(count, Outcome.RUNNING, jnp.int32),
    )
    return lanes, _with_places(lanes, state) if lanes.method.size.keeps else state


def _with_places(lanes: Lanes, state: DragState) -> DragState:
    """The state with zeros for what the first iteration will find; nothing of it is read before."""
    method, terms, where = lanes.method, lanes.method.objective.blank(lanes), state.candidate
    rows = where[lanes.handles.lane] if method.direction.per_handle else where
    point = dataclasses.replace(
        state.accepted,
        terms=None if terms.handles is None else ByHandle(terms.handles),
        coordinates=jnp.zeros_like(where),
        pulled=method.direction.pull(lanes, terms, lambda _: jnp.zeros_like(rows)),
    )
    return dataclasses.replace(state, accepted=point, predicted=method.direction.blank(lanes))


def latents(lanes: Lanes, state: DragState) -> tuple[Any, Any]:
    """The lanes' latents at the start, as their spaces express them, and now; arrays [B, ...]."""
    decode = jax.vmap(lambda space, x, base: space.decode(x, base))
    return decode(lanes.space, lanes.start, lanes.base), decode(lanes.space, state.coordinates, lanes.base)


def step(network: Network, lanes: Lanes, state: DragState) -> tuple[DragState, StepInfo]:
    """One iteration: synthesise, track, test for the stop, update (the order of docs/design.md, fact 4).

    An iteration that reaches the targets, or meets a number that is not finite, makes no update.
    """
    method = lanes.method
    trial = evaluate(network, lanes, state)
    accepts, size = method.size.judge(lanes, state, trial)
    accepted = choose(accepts, lanes.handles.lane, trial, state.accepted) if method.size.keeps else trial
    limits = method.size.limits(lanes, accepted, size, state.iteration)
    proposal, memory = method.direction.propose(lanes, accepted, limits, state.memory)
    after = DragState(
        candidate=kept_within(lanes, proposal.coordinates),
        predicted=proposal.predicted if method.size.keeps else None,
        accepted=_kept(lanes, accepted),
        memory=memory,
        size=size,
        iteration=state.iteration + 1,
        nearest=jnp.minimum(accepted.progress.total, state.nearest),
        since=jnp.where(accepted.progress.total < state.nearest, 0, state.since + 1),
        outcome=state.outcome,
    )
    outcome = terminate(lanes, accepted, after)
    after = freeze(lanes, state, after, outcome)
    info = StepInfo(handles_yx=after.accepted.progress.handles_yx, loss=trial.loss, coordinates=after.coordinates)
    return after, info


def evaluate(network: Network, lanes: Lanes, state: DragState) -> Point:
    """The objective at the candidates, and what the direction pulls back to them."""
    method, lane = lanes.method, lanes.handles.lane
    charts, image = (lanes.space, state.candidate, lanes.base), lane
    if method.direction.per_handle:
        charts = jax.tree.map(lambda leaf: leaf[lane], charts)
        image = jnp.arange(lane.shape[0], dtype=jnp.int32)
    space, coordinates, base = charts
    first = state.iteration == 0

    def terms(coordinates: Float32[Array, "rows K"]) -> tuple[Terms, Any]:
        styles = _styles(network, space, coordinates, base)
        return method.objective.evaluate(network, lanes, styles, image, state.accepted.carry, first, state.predicted)

    found, vjp, (carry, progress) = jax.vjp(terms, coordinates, has_aux=True)
    return Point(
        carry=carry,
        progress=progress,
        loss=found.loss,
        terms=None if found.handles is None else ByHandle(found.handles),
        coordinates=state.candidate,
        pulled=method.direction.pull(lanes, found, lambda cotangents: vjp(cotangents)[0]),
    )


def _styles(network: Network, space: Any, coordinates: Float32[Array, "B K"], base: Any) -> Styles:
    """{name: [B, C]} of coordinates [B, K]."""
    styles = jax.vmap(lambda space, x, base: space.styles(network, x, base))(space, coordinates, base)
    return {name: style[:, 0] for name, style in styles.items()}


def terminate(lanes: Lanes, accepted: Point, after: DragState) -> Int32[Array, " B={lanes.count}"]:
    """The outcome of every lane, int32 [B], by the point it is at and the state after this iteration."""
    settings = lanes.settings
    finite = jnp.isfinite(accepted.loss) & jnp.all(jnp.isfinite(after.candidate), 1)
    ends = {
        Outcome.NOT_FINITE: ~finite,
        Outcome.REACHED: accepted.progress.reached,
        Outcome.STEP_LIMIT: after.iteration >= settings.steps,
        Outcome.STALLED: (settings.stall > 0) & (after.since >= settings.stall),
    }
    values = [jnp.full(lanes.count, end, jnp.int32) for end in ends]
    return jnp.select(list(ends.values()), values, jnp.full(lanes.count, Outcome.RUNNING, jnp.int32))


def freeze(lanes: Lanes, before: DragState, after: DragState, outcome: Int32[Array, " B={lanes.count}"]) -> DragState:
    """`after` with its outcome in the lanes that ran, the others as before; those that arrived now make no update."""
    lane = lanes.handles.lane
    running = before.outcome == Outcome.RUNNING
    updates = running & (outcome != Outcome.NOT_FINITE) & (outcome != Outcome.REACHED)
    frozen = choose(running, lane, dataclasses.replace(after, outcome=outcome), before)
    moved = choose(updates, lane, (after.candidate, after.memory), (before.candidate, before.memory))
    return dataclasses.replace(frozen, candidate=moved[0], memory=moved[1])


def _kept(lanes: Lanes, point: Point) -> Point:
    """A point as the state keeps it: what is needed to go back there only where the step size may."""
    if lanes.method.size.keeps:
        return point
    return dataclasses.replace(point, terms=None, coordinates=None, pulled=None)
