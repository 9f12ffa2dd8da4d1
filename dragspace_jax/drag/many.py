"""Thousands of edits through one pool of lanes after the other: `drag_many`."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Literal

import jax

from dragspace_jax.drag.admission import admit, multiple, rows_for
from dragspace_jax.drag.capacity import MOST_LANES, Device, auto_lanes, free_bytes
from dragspace_jax.drag.intake import Intake
from dragspace_jax.drag.lanes import Programs
from dragspace_jax.drag.pool import Finished, Job, Pool
from dragspace_jax.drag.request import BatchError, BatchStats, EditRequest, LaneResult
from dragspace_jax.stylegan2 import Generator

DEFAULT_CHUNK = 8
_PATIENCE = 32  # chunks for which others may overtake an edit


class Batch(Iterator[LaneResult]):
    """Results as they finish; `stats` tells at any time how it stands."""

    def __init__(
        self,
        model: Generator,
        edits: Iterable[EditRequest],
        *,
        lanes: int | Literal["auto"],
        programs: Programs,
    ):
        self.stats = BatchStats()
        self._model, self._wanted, self._programs = model, lanes, programs
        self._intake = Intake(model, edits)
        self._results = self._run()

    def __next__(self) -> LaneResult:
        result = next(self._results)
        self.stats.done += 1
        return result

    def _run(self) -> Iterator[LaneResult]:
        intake = self._intake
        while True:
            intake.read(None, 1)
            yield from self._rejected()
            if intake.queues:
                kind = max(intake.queues, key=lambda k: len(intake.queues[k]))
                yield from self._through_pool(kind)
                if not intake.queues[kind]:
                    del intake.queues[kind]
            elif intake.exhausted:
                break
        if intake.failure is not None:
            raise intake.failure

    def _rejected(self) -> Iterator[LaneResult]:
        while self._intake.invalid:
            yield self._intake.invalid.popleft()

    def _through_pool(self, kind: Hashable) -> Iterator[LaneResult]:
        """All edits of one kind that can be read, through one pool."""
        self._intake.read(kind, 4 * MOST_LANES)
        queue = self._intake.queues[kind]
        pool = self._pool(queue)
        passed_over = 0
        finished: Callable[[], list[Finished]] = list
        while True:
            self._intake.read(kind, 4 * pool.lanes)
            passed_over = 0 if admit(pool, queue, patient=passed_over < _PATIENCE) else passed_over + 1
            if not queue:
                self._shrink(pool)
            if pool.busy:
                pool.launch()
            self._note(pool)
            for each in finished():  # while the chunk runs
                yield _result(each)
            yield from self._rejected()
            if not pool.busy:
                return  # nothing of this kind is left, or the next one needs a pool for more handles
            finished = pool.collect()
            self._note(pool)

    def _pool(self, queue: Sequence[Job]) -> Pool:
        """A pool for what waits.

        Raises:
          BatchError: so many lanes do not fit in memory.
        """
        devices = len(self._programs.devices)
        lanes = self._wanted if isinstance(self._wanted, int) else auto_lanes(self._programs.devices)
        if self._intake.exhausted:
            lanes = min(lanes, 2 ** math.ceil(math.log2(len(queue))))
        while True:
            lanes = multiple(lanes, devices)
            budget = free_bytes(self._programs.devices)
            rows = rows_for(queue, lanes, devices)
            pool = Pool(self._model, queue[0], lanes=lanes, handles=rows, programs=self._programs, work=self.stats)
            needed = pool.memory()
            if budget is None or needed <= budget:
                return pool
            if self._wanted != "auto" or lanes <= devices:
                raise BatchError(
                    f"{lanes} lanes need {needed / 2**30:.1f} GiB a device and {budget / 2**30:.1f} GiB are free; "
                    "take fewer lanes, or bfloat16"
                )
            del pool  # its memory counts for the next one
            lanes //= 2

    def _shrink(self, pool: Pool) -> None:
        """Halve the pool for as long as what is left has room, if that saves more time than compiling takes."""
        devices = len(self._programs.devices)
        lanes = pool.lanes
        while lanes // 2 >= max(pool.busy, 1) and lanes // 2 % devices == 0:
            lanes //= 2
        used = pool.handles_used
        rows = min(pool.handles, multiple(used, 4 * devices if used > 4 else devices))
        if lanes < pool.lanes and pool.seconds_left * (1 - rows / pool.handles) > pool.compile_seconds:
            pool.shrink(lanes, rows)

    def _note(self, pool: Pool) -> None:
        self.stats.lanes, self.stats.busy, self.stats.waiting = pool.lanes, pool.busy, self._intake.waiting
        self.stats.most_lanes = max(self.stats.most_lanes, pool.lanes)


def _result(finished: Finished) -> LaneResult:
    job = finished.job
    return LaneResult(
        id=job.id,
        outcome=finished.outcome,
        ws=finished.ws,
        handles_yx=finished.handles_yx,
        targets_yx=job.edit.targets_yx,
        steps=finished.steps,
        seconds=finished.seconds,
    )


def drag_many(
    model: Generator,
    edits: Iterable[EditRequest],
    *,
    lanes: int | Literal["auto"] = "auto",
    chunk: int = DEFAULT_CHUNK,
    devices: Sequence[Device] | None = None,
) -> Batch:
    """Drag many edits at once; each comes out as `drag_one` would have it.

    Edits run in lanes of one compiled program, in chunks of iterations; between chunks finished edits leave and waiting
    ones take their lanes. Edits that need another program (masks, another space, block, radius or type) wait for it.
    A bad edit is a result with outcome INVALID and its reason, and one that meets a number that is not finite ends so;
    neither harms another.

    Args:
      model: the generator.
      edits: read as they are needed, so it may be a generator. If it raises, the edits read till then come out first.
      lanes: number of edits that run at once, rounded up to a multiple of the devices, or `auto`: as many as pay and
        fit in memory.
      chunk: iterations between two looks at the lanes.
      devices: where to run; None: all local devices, among which the lanes are divided.

    Returns:
      An iterator over results as they finish, in any order, with `stats`.

    Raises:
      BatchError: lanes or chunk out of range; while iterating, if the lanes do not fit in memory.
    """
    if lanes != "auto" and (isinstance(lanes, bool) or not isinstance(lanes, int) or lanes < 1):
        raise BatchError(f"lanes is {lanes!r}; it must be a whole number from 1, or 'auto'")
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise BatchError(f"chunk is {chunk!r}; it must be a whole number from 1")
    chosen = tuple(jax.local_devices() if devices is None else devices)
    if not chosen:
        raise BatchError("devices is empty; name at least one")
    return Batch(model, edits, lanes=lanes, programs=Programs(chosen, chunk))
