"""Lanes on the devices: chunks of iterations in one compiled program, and filling lanes again between them.

Everything that differs from lane to lane has the lanes as its first axis, everything that differs from handle to
handle the handles. With several devices both axes are divided among them by `shard_map`: a device runs its own lanes
with its own handles and waits for no other inside a chunk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dragspace_jax.drag.capacity import Device
from dragspace_jax.drag.edit import Outcome
from dragspace_jax.drag.features import Engine
from dragspace_jax.drag.loop import DragState, Lanes, Start, begin, latents, step

_AXIS = "lanes"


def run_chunk(engine: Engine, lanes: Lanes, state: DragState, *, length: int) -> tuple[DragState, jax.Array]:
    """Up to `length` iterations, fewer once no lane runs any more → state, iterations executed int32 [1]."""

    def goes_on(carry: tuple[DragState, jax.Array]) -> jax.Array:
        state, done = carry
        return (done < length) & jnp.any(state.outcome == Outcome.RUNNING)

    def once(carry: tuple[DragState, jax.Array]) -> tuple[DragState, jax.Array]:
        state, done = carry
        return step(engine, lanes, state)[0], done + 1

    state, done = jax.lax.while_loop(goes_on, once, (state, jnp.zeros((), jnp.int32)))
    return state, done[None]


def empty(engine: Engine, start: Start) -> tuple[Lanes, DragState]:
    """Lanes in which nothing runs."""
    lanes, state = begin(engine, start)
    return lanes, dataclasses.replace(state, outcome=jnp.full_like(state.outcome, Outcome.INVALID))


def refill(
    engine: Engine, lanes: Lanes, state: DragState, start: Start, fresh: jax.Array, fresh_rows: jax.Array
) -> tuple[Lanes, DragState]:
    """Begin the edits of `start` in the lanes `fresh` bool [B], with the handles `fresh_rows` bool [N]."""
    new_lanes, new_state = begin(engine, start)

    def chosen(new: Any, old: Any, which: jax.Array) -> Any:
        return jax.tree.map(lambda n, o: jnp.where(which.reshape(which.shape + (1,) * (n.ndim - 1)), n, o), new, old)

    by_lane = chosen(_lane_parts(new_state), _lane_parts(state), fresh)
    by_row = chosen(_row_parts(new_state), _row_parts(state), fresh_rows)
    # The table knows all handles and spaces, those that go on as well; of a base only the fresh lanes' are new.
    lanes = dataclasses.replace(new_lanes, base=chosen(new_lanes.base, lanes.base, fresh))
    return lanes, dataclasses.replace(new_state, **by_lane, **by_row)


def moved(
    lanes: Lanes, state: DragState, start: Start, lane_from: jax.Array, row_from: jax.Array, used: jax.Array
) -> tuple[Lanes, DragState]:
    """The same edits in other places.

    Args:
      lanes, state: B lanes and N handles.
      start: the table of the new places, B' lanes and N' handles.
      lane_from: int32 [B'], the old lane of each new one.
      row_from: int32 [N'], the old row of each new handle.
      used: bool [B'], the new lanes that hold an edit.
    """

    def taken(parts: Any, rows: jax.Array) -> Any:
        return jax.tree.map(lambda x: x[rows], parts)

    outcome = jnp.where(used, state.outcome[lane_from], Outcome.INVALID)
    state = dataclasses.replace(state, **taken(_lane_parts(state), lane_from), **taken(_row_parts(state), row_from))
    return Lanes.of(start, taken(lanes.base, lane_from)), dataclasses.replace(state, outcome=outcome)


_ROW_FIELDS = ("handles_yx", "reference")


def _row_parts(state: DragState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in _ROW_FIELDS}


def _lane_parts(state: DragState) -> dict[str, Any]:
    return {f.name: getattr(state, f.name) for f in dataclasses.fields(state) if f.name not in _ROW_FIELDS}


@dataclasses.dataclass(frozen=True)
class Programs:
    """The functions above, compiled for some devices.

    Attributes:
      devices: where the lanes run.
      chunk: iterations of a chunk.
    """

    devices: tuple[Device, ...]
    chunk: int

    @cached_property
    def _mesh(self) -> Mesh:
        return Mesh(np.array(self.devices), (_AXIS,))

    def placed(self, tree: Any, *, divided: bool) -> Any:
        """A pytree on the devices: divided along its first axis, or all of it on each."""
        return jax.device_put(tree, NamedSharding(self._mesh, PartitionSpec(_AXIS) if divided else PartitionSpec()))

    def _compiled(self, function: Callable[..., Any], shared: int, divided: int, donated: Sequence[int] = ()) -> Any:
        """Each device runs `function` on its part; the first `shared` arguments are the same for all."""
        if len(self.devices) > 1:
            specs = (PartitionSpec(),) * shared + (PartitionSpec(_AXIS),) * divided
            function = jax.shard_map(
                function, mesh=self._mesh, in_specs=specs, out_specs=PartitionSpec(_AXIS), check_vma=False
            )
        return jax.jit(function, donate_argnums=tuple(donated))

    @cached_property
    def run(self) -> Any:
        """`run_chunk`; the state is donated."""
        return self._compiled(partial(run_chunk, length=self.chunk), 1, 2, donated=(2,))

    @cached_property
    def refill(self) -> Any:
        """`refill`; lanes and state are donated."""
        return self._compiled(refill, 1, 5, donated=(1, 2))

    @cached_property
    def empty(self) -> Any:
        return self._compiled(empty, 1, 1)

    @cached_property
    def latents(self) -> Any:
        return self._compiled(latents, 0, 2)

    @cached_property
    def moved(self) -> Any:
        """`moved`; an edit may come to another device, so this one is left to the partitioner."""
        return jax.jit(moved, out_shardings=NamedSharding(self._mesh, PartitionSpec(_AXIS)))
