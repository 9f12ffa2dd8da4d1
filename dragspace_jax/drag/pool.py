"""A pool of lanes that edits of one program pass through: the host's side of `lanes`.

Between two chunks finished edits leave and waiting ones take their places. What is read from the devices in between is
a few numbers a lane; latents follow while the next chunk runs. When nothing waits any more, the pool shrinks with what
is left in it, so that the last edits do not pay for empty lanes.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Int32

from dragspace_jax.drag.edit import Edit, Outcome
from dragspace_jax.drag.programs import Programs
from dragspace_jax.drag.result import DragResult, Trace
from dragspace_jax.drag.state import StepInfo
from dragspace_jax.drag.table import Table
from dragspace_jax.networks import Model


@dataclasses.dataclass
class Work:
    """Lane-steps and handle-steps: those that moved an edit, and those that the devices executed."""

    lane_steps: int = 0
    lane_steps_executed: int = 0
    handle_steps: int = 0
    handle_steps_executed: int = 0


@dataclasses.dataclass(eq=False)
class Seat:
    """An edit in its lane.

    Attributes:
      edit: that runs.
      since: when it was admitted, on the clock of `time.perf_counter`.
      steps: iterations that are known to be done.
      trace: what was told of them, a chunk each.
    """

    edit: Edit
    since: float
    steps: int = 0
    trace: list[StepInfo] = dataclasses.field(default_factory=list)


class Pool:
    """B lanes with N handles among them.

    Args:
      model: what is edited.
      edit: any that will pass through: all share its program.
      lanes, handles: B and N, multiples of the number of devices.
      programs: compiled for the devices.
      work: where to count what is executed.

    Attributes:
      chunk: the program that runs.
      compile_seconds: what compiling it took now; 0 if it was there.
    """

    def __init__(self, model: Model, edit: Edit, *, lanes: int, handles: int, programs: Programs, work: Work):
        self._model, self._edit, self._programs, self._work = model, edit, programs, work
        self._table = Table(edit, lanes=lanes, handles=handles, devices=len(programs.devices))
        self._seats: list[Seat | None] = [None] * lanes
        self._fresh = np.ones(lanes, bool)
        self._pace = 0.0
        self._leaving: list[Seat] = []  # finished, and their results not given yet
        # Compiled before anything is allocated: the compiler takes more memory than a chunk does.
        shapes = programs.shapes(model, edit, handles / lanes, self._start())
        self._network_shape = shapes[0]
        self._compile(shapes)
        self._held = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes[1:]))
        self._network: Any = None
        self._lanes: Any = None
        self._state: Any = None

    def _start(self) -> Any:
        return self._programs.placed(self._table.start(), divided=True)

    def _compile(self, shapes: Any) -> None:
        before = self._programs.compile_seconds
        self.chunk = self._programs.chunk_for(shapes)
        self.compile_seconds = self._programs.compile_seconds - before

    @property
    def lanes(self) -> int:
        return len(self._seats)

    @property
    def handles(self) -> int:
        return len(self._table.owner)

    @property
    def busy(self) -> int:
        """Lanes that hold an edit."""
        return sum(seat is not None for seat in self._seats)

    @property
    def handles_used(self) -> int:
        """Handles of the edits that are in lanes."""
        return sum(len(seat.edit.handles_yx) for seat in self._seats if seat is not None)

    def admit(self, edit: Edit) -> Seat | None:
        """Give the edit a lane, if one is free and its handles have room beside it."""
        for lane, seat in enumerate(self._seats):
            if seat is None and self._table.fits(lane, len(edit.handles_yx)):
                self._table.put(lane, edit)
                self._seats[lane], self._fresh[lane] = Seat(edit, time.perf_counter()), True
                return self._seats[lane]
        return None

    def memory(self) -> int:
        """Bytes needed on each device beside the model: a chunk's scratch, and lanes that are being filled again."""
        return self.chunk.scratch + 2 * self._held // len(self._programs.devices)

    def launch(self) -> None:
        """Set up the edits that were admitted and run a chunk; returns while it runs."""
        if self._network is None:
            self._network = self._programs.prepared(self._model, self._edit, self.handles / self.lanes)
            self._lanes, self._state = self.chunk.empty()
        if self._fresh.any():
            rows = self._fresh[np.maximum(self._table.owner, 0)]
            used = np.array([seat is not None for seat in self._seats])
            where = self._programs.placed((self._fresh.copy(), rows, used), divided=True)
            self._lanes, self._state = self._programs.refill(
                self._network, self._lanes, self._state, self._start(), *where
            )
            self._fresh[:] = False
        self._launched = time.perf_counter()
        self._state, self._executed, self._told = self.chunk.run(self._network, self._lanes, self._state)

    @property
    def seconds_left(self) -> float:
        """What the longest edit may still take at the pace of the last chunk, if it runs to its last step."""
        left = [0 if seat is None else seat.edit.settings.steps - seat.steps for seat in self._seats]
        return float(max(left)) * self._pace

    def collect(self) -> Callable[[], list[DragResult]]:
        """Wait for the chunk and free the lanes that have finished.

        Returns:
          What gives their results. It waits for their latents, which are on their way, so call it when the next chunk
          has been launched.
        """
        outcome, steps, executed, told = jax.device_get(
            (self._state.outcome, self._state.iteration, self._executed, self._told)
        )
        self._pace = (time.perf_counter() - self._launched) / max(int(executed.max()), 1)
        self._note(steps, told, int(executed.sum()))
        held = np.array([seat is not None for seat in self._seats])
        done = np.flatnonzero(held & (outcome != Outcome.RUNNING)).tolist()
        if not done:
            return list
        latents = self._programs.latents(self._lanes, self._state)
        base = self._lanes.base if self._programs.coordinates else None
        for leaf in jax.tree.leaves((latents, base)):
            leaf.copy_to_host_async()
        left = [(lane, self._leave(lane)) for lane in done]
        self._leaving = [seat for _, seat in left]
        now = time.perf_counter()

        def results() -> list[DragResult]:
            starts, ends = jax.tree.map(np.asarray, latents)
            bases = jax.tree.map(np.asarray, base)
            given = [
                DragResult(
                    id=seat.edit.id,
                    outcome=Outcome(int(outcome[lane])),
                    edit=seat.edit,
                    model=self._model,
                    start=_of(lane, starts),
                    latents=_of(lane, ends),
                    handles_yx=trace.handles_yx[-1],
                    targets_yx=seat.edit.targets_yx,
                    steps=seat.steps,
                    seconds=now - seat.since,
                    compile_seconds=self.compile_seconds if self.lanes == 1 else 0.0,
                    trace=trace,
                )
                for lane, seat in left
                for trace in [_trace(seat, _of(lane, bases))]
            ]
            self._leaving = []
            return given

        return results

    def abandoned(self) -> list[Edit]:
        """Give up after an error: frees the arrays, and gives the edits without a result, in the order they came.

        What they had behind them counts no more, since they begin again.
        """
        held = sorted(
            [*self._leaving, *(seat for seat in self._seats if seat is not None)], key=lambda seat: seat.since
        )
        for seat in held:
            self._work.lane_steps -= seat.steps
            self._work.handle_steps -= seat.steps * len(seat.edit.handles_yx)
        self._network = self._lanes = self._state = self._told = self._executed = None
        return [seat.edit for seat in held]

    def _leave(self, lane: int) -> Seat:
        seat, self._seats[lane] = self._seats[lane], None
        self._table.release(lane)
        assert seat is not None  # only lanes that hold one finish
        return seat

    def _note(self, steps: Int32[np.ndarray, " B"], told: StepInfo, executed: int) -> None:
        """Keep what a chunk told of each lane, and count its work: `executed` iterations by all devices together."""
        devices = len(self._programs.devices)
        for lane, seat in enumerate(self._seats):
            if seat is None:
                continue
            gained = int(steps[lane]) - seat.steps
            seat.steps += gained
            x = told.coordinates
            seat.trace.append(
                StepInfo(
                    handles_yx=told.handles_yx[:gained, self._table.rows(lane)],  # type: ignore[arg-type]
                    loss=told.loss[:gained, lane].copy(),  # a view would keep all lanes' arrays alive
                    coordinates=None if x is None else x[:gained, lane].copy(),
                )
            )
            self._work.lane_steps += gained
            self._work.handle_steps += gained * len(seat.edit.handles_yx)
        self._work.lane_steps_executed += executed * self.lanes // devices
        self._work.handle_steps_executed += executed * self.handles // devices

    def shrink(self, lanes: int, handles: int) -> bool:
        """Move what runs to so many lanes and handles; False if it does not fit there, or if some have yet to begin."""
        if self._fresh.any() or self._lanes is None:
            return False
        table = Table(self._edit, lanes=lanes, handles=handles, devices=len(self._programs.devices))
        lane_from, row_from = np.zeros(lanes, np.int32), np.zeros(handles, np.int32)
        seats: list[Seat | None] = [None] * lanes
        held = [(lane, seat) for lane, seat in enumerate(self._seats) if seat is not None]
        for lane, seat in sorted(held, key=lambda pair: -len(pair[1].edit.handles_yx)):
            place = next(
                (i for i in range(lanes) if seats[i] is None and table.fits(i, len(seat.edit.handles_yx))), None
            )
            if place is None:
                return False
            table.put(place, seat.edit)
            seats[place], lane_from[place] = seat, lane
            row_from[table.rows(place)] = self._table.rows(lane)
        used = np.array([seat is not None for seat in seats])
        self._table, self._seats, self._fresh = table, seats, np.zeros(lanes, bool)
        places = self._programs.placed((lane_from, row_from, used), divided=True)
        self._lanes, self._state = self._programs.moved(self._lanes, self._state, self._start(), *places)
        # The network stays as it was prepared, for the handles that a lane had on average.
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), (self._lanes, self._state)
        )
        self._compile((self._network_shape, *shapes))
        return True


def _of(lane: int, tree: Any) -> Any:
    """A lane's part of arrays [B, ...], copied: a view would keep all lanes' arrays alive."""
    return jax.tree.map(lambda leaf: leaf[lane].copy(), tree)


def _trace(seat: Seat, base: Any) -> Trace:
    """The chunks of a trace put together."""
    whole = jax.tree.map(lambda *parts: np.concatenate(parts), *seat.trace)
    return Trace(handles_yx=whole.handles_yx, loss=whole.loss, coordinates=whole.coordinates, base=base)
