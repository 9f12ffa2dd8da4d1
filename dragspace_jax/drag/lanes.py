"""Lanes on the devices: chunks of iterations in one compiled program, and filling lanes again between them.

These functions know of an objective's and a solver's state only which arrays have the lanes first and which the handles
(`state.ByHandle`).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32

from dragspace_jax.drag.edit import Outcome
from dragspace_jax.drag.loop import begin, step
from dragspace_jax.drag.state import DragState, Lanes, Start, StepInfo, choose_rows, take
from dragspace_jax.networks import Network


def run_chunk(
    network: Network, lanes: Lanes, state: DragState, *, length: int, coordinates: bool
) -> tuple[DragState, Int32[Array, " 1"], StepInfo]:
    """Up to `length` iterations, fewer once no lane runs any more.

    Returns:
      The state, the number of iterations executed int32 [1], and what each told, arrays [length, ...]; with
      `coordinates` the lanes' coordinates as well. A lane that ran s iterations did so in the first s of them.
    """

    def told(info: StepInfo) -> StepInfo:
        return info if coordinates else dataclasses.replace(info, coordinates=None)

    def goes_on(carry: tuple[DragState, Int32[Array, ""], StepInfo]) -> Bool[Array, ""]:
        state, done, _ = carry
        return (done < length) & jnp.any(state.outcome == Outcome.RUNNING)

    def once(carry: tuple[DragState, Int32[Array, ""], StepInfo]) -> tuple[DragState, Int32[Array, ""], StepInfo]:
        state, done, trace = carry
        state, info = step(network, lanes, state)
        return state, done + 1, jax.tree.map(lambda kept, new: kept.at[done].set(new), trace, told(info))

    if length == 1:  # no loop around it; see `programs.programs_of`
        state, info = step(network, lanes, state)
        return state, jnp.ones(1, jnp.int32), jax.tree.map(lambda new: new[None], told(info))
    handles, (count, width) = lanes.handles.start_yx.shape[0], state.candidate.shape
    trace = told(
        StepInfo(
            handles_yx=jnp.zeros((length, handles, 2)),
            loss=jnp.zeros((length, count)),
            coordinates=jnp.zeros((length, count, width)),
        )
    )
    state, done, trace = jax.lax.while_loop(goes_on, once, (state, jnp.zeros((), jnp.int32), trace))
    return state, done[None], trace


def refill(
    network: Network,
    lanes: Lanes,
    state: DragState,
    start: Start,
    fresh: Bool[Array, " B"],
    fresh_rows: Bool[Array, " N"],
    used: Bool[Array, " B"],
) -> tuple[Lanes, DragState]:
    """Begin the edits of `start` in the lanes `fresh` bool [B], with the handles `fresh_rows` bool [N].

    The table, of which `start` is made, knows all edits, those that go on as well; but what was computed when they
    began stays. Lanes that are not `used` bool [B] hold no edit, and nothing runs there.
    """
    new, begun = begin(network, start)
    base, first = choose_rows(fresh, fresh_rows, (new.base, new.start), (lanes.base, lanes.start))
    state = choose_rows(fresh, fresh_rows, begun, state)
    return Lanes.of(start, base, first), _only(used, state)


def moved(
    lanes: Lanes,
    state: DragState,
    start: Start,
    lane_from: Int32[Array, " B_new"],
    row_from: Int32[Array, " N_new"],
    used: Bool[Array, " B_new"],
) -> tuple[Lanes, DragState]:
    """The same edits in other places.

    Args:
      lanes, state: B lanes and N handles.
      start: the table of the new places, B' lanes and N' handles.
      lane_from: int32 [B'], the old lane of each new one.
      row_from: int32 [N'], the old row of each new handle.
      used: bool [B'], the new lanes that hold an edit.
    """
    base, first, state = take((lanes.base, lanes.start, state), lane_from, row_from)
    return Lanes.of(start, base, first), _only(used, state)


def _only(used: Bool[Array, " B"], state: DragState) -> DragState:
    """The state with nothing running in lanes that hold no edit."""
    outcome = jnp.where(used, state.outcome, jnp.full_like(state.outcome, Outcome.INVALID))
    return dataclasses.replace(state, outcome=outcome)
