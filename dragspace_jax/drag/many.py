"""Thousands of edits through one pool of lanes after the other: `drag_many`."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Literal

import jax

from dragspace_jax.drag.capacity import MOST_LANES, Device, auto_lanes, free_bytes
from dragspace_jax.drag.edit import DragSettings, Outcome, check_latents, make_edit
from dragspace_jax.drag.lanes import Programs
from dragspace_jax.drag.pool import Finished, Job, Pool
from dragspace_jax.drag.request import BatchError, BatchStats, EditRequest, LaneResult
from dragspace_jax.errors import DragspaceError
from dragspace_jax.spaces import WPlus, default_layers
from dragspace_jax.stylegan2 import Generator

DEFAULT_CHUNK = 8
_READ_AHEAD = 4096  # edits that wait at most, of all kinds
_MASKS_AHEAD = 64  # and with masks, which are large
_PATIENCE = 32  # chunks for which others may overtake an edit
_ROWS_PER_AVERAGE = 1.6  # measured on FreeDragBench: 93 % of lanes and of rows busy; 1.1 leaves lanes empty


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
        self._model, self._edits, self._wanted, self._programs = model, iter(edits), lanes, programs
        self._default_space = WPlus(layers=default_layers(model.config.num_ws))
        self._queues: dict[Hashable, deque[Job]] = {}
        self._exhausted = False
        self._invalid: deque[LaneResult] = deque()
        self._results = self._run()

    def __next__(self) -> LaneResult:
        result = next(self._results)
        self.stats.done += 1
        return result

    def _run(self) -> Iterator[LaneResult]:
        while True:
            self._read(None, 1)
            yield from self._rejected()
            kind = max(self._queues, key=lambda k: len(self._queues[k]), default=None)
            if kind is None:
                return
            yield from self._through_pool(kind)
            if not self._queues[kind]:
                del self._queues[kind]

    def _rejected(self) -> Iterator[LaneResult]:
        while self._invalid:
            yield self._invalid.popleft()

    def _read(self, kind: Hashable, wanted: int) -> None:
        """Read edits until `wanted` of a kind (None: of all) wait, or as many of all kinds as may wait."""
        while not self._exhausted and self._waiting() < _READ_AHEAD and self._masks_waiting() < _MASKS_AHEAD:
            if (self._waiting() if kind is None else len(self._queues.get(kind, ()))) >= wanted:
                return
            request = next(self._edits, None)
            if request is None:
                self._exhausted = True
                return
            try:
                job = self._checked(request)
            except DragspaceError as error:
                self._invalid.append(LaneResult(id=request.id, outcome=Outcome.INVALID, reason=str(error)))
            else:
                self._queues.setdefault(_kind(job), deque()).append(job)

    def _waiting(self) -> int:
        return sum(map(len, self._queues.values()))

    def _masks_waiting(self) -> int:
        return sum(len(queue) for queue in self._queues.values() if queue and queue[0].edit.mask is not None)

    def _checked(self, request: EditRequest) -> Job:
        config = self._model.config
        space = self._default_space if request.space is None else request.space
        space.check(self._model)
        settings = DragSettings() if request.settings is None else request.settings
        return Job(
            id=request.id,
            edit=make_edit(request.handles_yx, request.targets_yx, config.resolution, request.mask),
            ws=check_latents(config, request.ws),
            space=space,
            settings=settings.resolved(config, masked=request.mask is not None),
        )

    def _through_pool(self, kind: Hashable) -> Iterator[LaneResult]:
        """All edits of one kind that can be read, through one pool."""
        self._read(kind, 4 * MOST_LANES)
        queue = self._queues[kind]
        pool = self._pool(queue)
        passed_over = 0
        finished: Callable[[], list[Finished]] = list
        while True:
            self._read(kind, 4 * pool.lanes)
            passed_over = 0 if _admit(pool, queue, patient=passed_over < _PATIENCE) else passed_over + 1
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
        budget = free_bytes(self._programs.devices)
        lanes = self._wanted if isinstance(self._wanted, int) else auto_lanes(self._programs.devices)
        if self._exhausted:
            lanes = min(lanes, 2 ** math.ceil(math.log2(len(queue))))
        while True:
            lanes = _multiple(lanes, devices)
            handles = _handles_for(queue, lanes, devices)
            pool = Pool(self._model, queue[0], lanes=lanes, handles=handles, programs=self._programs, work=self.stats)
            needed = pool.memory()
            if budget is None or needed <= budget:
                return pool
            if self._wanted != "auto" or lanes <= devices:
                raise BatchError(
                    f"{lanes} lanes need {needed / 2**30:.1f} GiB a device and {budget / 2**30:.1f} GiB are free; "
                    "take fewer lanes, or bfloat16"
                )
            lanes //= 2

    def _shrink(self, pool: Pool) -> None:
        """Halve the pool for as long as what is left has room; nothing waits any more."""
        devices = len(self._programs.devices)
        lanes, used = pool.lanes, pool.handles_used
        while lanes // 2 >= max(pool.busy, 1) and lanes // 2 % devices == 0:
            lanes //= 2
        if lanes < pool.lanes:
            pool.shrink(lanes, min(pool.handles, _multiple(used, 4 * devices if used > 4 else devices)))

    def _note(self, pool: Pool) -> None:
        self.stats.lanes, self.stats.busy, self.stats.waiting = pool.lanes, pool.busy, self._waiting()
        self.stats.most_lanes = max(self.stats.most_lanes, pool.lanes)


def _kind(job: Job) -> Hashable:
    """What edits must share to run in one program."""
    leaves, structure = jax.tree.flatten(job.space)
    return structure, tuple(map(id, leaves)), jax.tree.structure(job.settings), job.edit.mask is None


def _admit(pool: Pool, queue: deque[Job], *, patient: bool) -> bool:
    """Fill the pool's free lanes, each time with the edit whose handles come nearest to the rows left for a lane.

    So lanes and rows run out together, whatever the mixture of edits. The first of the queue may be passed over while
    it is `patient`; then nothing else is admitted before it.

    Returns:
      Whether the first of the queue was admitted, or there was none.
    """
    first = queue[0] if queue else None
    while queue and pool.busy < pool.lanes:
        share = (pool.handles - pool.handles_used) / (pool.lanes - pool.busy)
        window = itertools.islice(queue, 4 * pool.lanes if patient else 1)
        for job in sorted(window, key=lambda job: abs(job.handles - share)):
            if pool.admit(job):
                queue.remove(job)
                patient = patient or job is first
                break
        else:
            break
    return not queue or queue[0] is not first


def _multiple(count: int, of: int) -> int:
    """`count`, rounded up."""
    return -(-count // of) * of


def _handles_for(queue: Sequence[Job], lanes: int, devices: int) -> int:
    """Rows of handles for so many lanes, with room for the greatest edit.

    More than an edit has on average: edits of many handles take more iterations, so they are met in lanes more often.
    """
    counts = sorted((job.handles for job in queue), reverse=True)
    usual = math.ceil(_ROWS_PER_AVERAGE * lanes * sum(counts) / len(counts))
    most = sum(counts[:lanes]) if len(counts) >= lanes else counts[0] * lanes
    rows = min(usual, most)
    return max(_multiple(rows, 4 * devices if rows > 4 * devices else devices), counts[0] * devices)


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
      edits: read as they are needed, so it may be a generator.
      lanes: number of edits that run at once, or `auto`: as many as pay on the device and fit in its memory.
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
