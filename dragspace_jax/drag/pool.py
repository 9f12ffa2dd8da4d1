"""A pool of lanes that edits of one kind pass through: the host's side of `lanes`.

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

from dragspace_jax.drag.edit import Edit, Outcome
from dragspace_jax.drag.features import make_engine
from dragspace_jax.drag.lanes import Programs
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.drag.table import Table
from dragspace_jax.spaces import Space
from dragspace_jax.stylegan2 import Generator


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """A checked edit on its way through a pool.

    Attributes:
      id: the user's.
      ws: [L, D] float32.
      settings: resolved.
    """

    id: str
    edit: Edit
    ws: np.ndarray
    space: Space
    settings: DragSettings

    @property
    def handles(self) -> int:
        return len(self.edit.handles_yx)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A job that has left its lane: ws [L, D], handles_yx [N, 2] as last tracked, seconds in the pool."""

    job: Job
    outcome: Outcome
    ws: np.ndarray
    handles_yx: np.ndarray
    steps: int
    seconds: float


@dataclasses.dataclass
class Work:
    """Lane-steps and handle-steps: those that moved an edit, and those that the devices executed."""

    lane_steps: int = 0
    lane_steps_executed: int = 0
    handle_steps: int = 0
    handle_steps_executed: int = 0


class Pool:
    """B lanes with N handles among them.

    Args:
      model: the generator.
      kind: any job of the kind the pool is for: spaces of one shape, same static settings, masks or none.
      lanes, handles: B and N, multiples of the number of devices.
      programs: compiled for the devices.
      work: where to count what is executed.

    Attributes:
      compile_seconds: what compiling the chunk took.
    """

    def __init__(self, model: Generator, kind: Job, *, lanes: int, handles: int, programs: Programs, work: Work):
        self._model, self._kind, self._programs, self._work = model, kind, programs, work
        self._engine = programs.placed(make_engine(model, kind.settings, handles / lanes), divided=False)
        self._table = self._table_of(lanes, handles)
        self._jobs: list[Job | None] = [None] * lanes
        self._since, self._steps = np.zeros(lanes), np.zeros(lanes, np.int64)
        self._fresh = np.zeros(lanes, bool)
        self._run: Any = None
        self.compile_seconds = self._pace = 0.0
        self._lanes, self._state = programs.empty(self._engine, self._start())

    def _table_of(self, lanes: int, handles: int) -> Table:
        return Table(
            lanes=lanes,
            handles=handles,
            space=self._kind.space,
            settings=self._kind.settings,
            masked=self._kind.edit.mask is not None,
            config=self._model.config,
            devices=len(self._programs.devices),
        )

    def _start(self) -> Any:
        return self._programs.placed(self._table.start(), divided=True)

    @property
    def lanes(self) -> int:
        return len(self._jobs)

    @property
    def handles(self) -> int:
        return len(self._table.owner)

    @property
    def busy(self) -> int:
        """Lanes that hold an edit."""
        return sum(job is not None for job in self._jobs)

    @property
    def handles_used(self) -> int:
        """Handles of the edits that are in lanes."""
        return sum(job.handles for job in self._jobs if job is not None)

    def admit(self, job: Job) -> bool:
        """Give the job a lane, if one is free and its handles have room beside it."""
        for lane, other in enumerate(self._jobs):
            if other is None and self._table.fits(lane, job.handles):
                self._table.put(lane, job.edit, job.ws, job.space, job.settings)
                self._jobs[lane], self._fresh[lane] = job, True
                self._since[lane], self._steps[lane] = time.perf_counter(), 0
                return True
        return False

    def launch(self) -> None:
        """Set up the jobs that were admitted and run a chunk; returns while it runs."""
        if self._fresh.any():
            rows = (self._table.owner >= 0) & self._fresh[np.maximum(self._table.owner, 0)]
            fresh, fresh_rows = self._programs.placed((self._fresh.copy(), rows), divided=True)
            self._lanes, self._state = self._programs.refill(
                self._engine, self._lanes, self._state, self._start(), fresh, fresh_rows
            )
            self._fresh[:] = False
        self._compile()
        self._launched = time.perf_counter()
        self._state, self._executed = self._run(self._engine, self._lanes, self._state)

    def _compile(self) -> None:
        if self._run is None:
            began = time.perf_counter()
            lowered = self._programs.run.lower(self._engine, self._lanes, self._state)
            self._run = lowered.compile()
            self.compile_seconds = time.perf_counter() - began

    def memory(self) -> int:
        """Bytes needed on each device beside the model: a chunk's scratch, and lanes that are being filled again."""
        self._compile()
        held = sum(leaf.nbytes for leaf in jax.tree.leaves((self._lanes, self._state)))
        return int(self._run.memory_analysis().temp_size_in_bytes) + 2 * held // len(self._programs.devices)

    @property
    def seconds_left(self) -> float:
        """What the longest edit may still take at the pace of the last chunk, if it runs to its last step."""
        limits = [0 if job is None else job.settings.steps for job in self._jobs]
        return float((np.array(limits) - self._steps).max()) * self._pace

    def collect(self) -> Callable[[], list[Finished]]:
        """Wait for the chunk and free the lanes that have finished.

        Returns:
          What gives their results. It waits for their latents, which are on their way, so call it when the next chunk
          has been launched.
        """
        outcome, steps, handles_yx, executed = jax.device_get(
            (self._state.outcome, self._state.iteration, self._state.handles_yx, self._executed)
        )
        self._pace = (time.perf_counter() - self._launched) / max(int(executed.max()), 1)
        held = np.array([job is not None for job in self._jobs])
        self._count(np.where(held, steps - self._steps, 0), int(executed.sum()))
        self._steps = np.where(held, steps, 0)
        done = np.flatnonzero(held & (outcome != Outcome.RUNNING)).tolist()
        if not done:
            return list
        ws = self._programs.latents(self._lanes, self._state)
        ws.copy_to_host_async()
        left = [(lane, self._leave(lane), handles_yx[self._table.rows(lane)]) for lane in done]
        now, since = time.perf_counter(), self._since.copy()
        for lane in done:
            self._table.release(lane)

        def results() -> list[Finished]:
            latents = np.asarray(ws)
            return [
                Finished(
                    job=job,
                    outcome=Outcome(int(outcome[lane])),
                    ws=latents[lane].copy(),  # a view would keep all lanes' latents alive
                    handles_yx=handles,
                    steps=int(steps[lane]),
                    seconds=now - float(since[lane]),
                )
                for lane, job, handles in left
            ]

        return results

    def _leave(self, lane: int) -> Job:
        job, self._jobs[lane] = self._jobs[lane], None
        assert job is not None  # only lanes that hold one finish
        return job

    def _count(self, gained: np.ndarray, executed: int) -> None:
        """Add a chunk to the work: iterations [B] that each lane gained, and executed by all devices together."""
        devices = len(self._programs.devices)
        handles = np.array([0 if job is None else job.handles for job in self._jobs])
        self._work.lane_steps += int(gained.sum())
        self._work.handle_steps += int((gained * handles).sum())
        self._work.lane_steps_executed += executed * self.lanes // devices
        self._work.handle_steps_executed += executed * self.handles // devices

    def shrink(self, lanes: int, handles: int) -> bool:
        """Move what runs to so many lanes and handles; False if it does not fit there, or if some have yet to begin."""
        if self._fresh.any():
            return False
        table = self._table_of(lanes, handles)
        lane_from, row_from = np.zeros(lanes, np.int32), np.zeros(handles, np.int32)
        jobs: list[Job | None] = [None] * lanes
        held = [(lane, job) for lane, job in enumerate(self._jobs) if job is not None]
        for lane, job in sorted(held, key=lambda pair: -pair[1].handles):
            place = next((i for i in range(lanes) if jobs[i] is None and table.fits(i, job.handles)), None)
            if place is None:
                return False
            table.put(place, job.edit, job.ws, job.space, job.settings)
            jobs[place], lane_from[place] = job, lane
            row_from[table.rows(place)] = self._table.rows(lane)
        used = np.array([job is not None for job in jobs])
        self._table, self._jobs, self._run = table, jobs, None
        self._since, self._steps = self._since[lane_from], np.where(used, self._steps[lane_from], 0)
        self._fresh = np.zeros(lanes, bool)
        places = self._programs.placed((lane_from, row_from, used), divided=True)
        self._lanes, self._state = self._programs.moved(self._lanes, self._state, self._start(), *places)
        return True
