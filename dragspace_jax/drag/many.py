"""Thousands of edits through one pool of lanes after the other: `drag_many`."""

from __future__ import annotations

import dataclasses
import logging
import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Literal

import jax

from dragspace_jax.device_memory import Device
from dragspace_jax.drag.edit import Edit, EditRequest
from dragspace_jax.drag.intake import Intake, admit
from dragspace_jax.drag.pool import Pool, Work
from dragspace_jax.drag.programs import programs_of
from dragspace_jax.drag.recipes import DEFAULT_RECIPE
from dragspace_jax.drag.result import DragResult
from dragspace_jax.drag.sizing import MOST_LANES, auto_lanes, free_bytes, multiple, rows_for
from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks import Model
from dragspace_jax.placement import devices, placed

DEFAULT_CHUNK = 8
"""Iterations between two looks of the host."""
_PATIENCE = 32  # chunks for which others may overtake an edit
_OUT_OF_MEMORY = re.compile("RESOURCE_EXHAUSTED|out of memory", re.IGNORECASE)
_log = logging.getLogger(__name__)


class BatchError(DragspaceError):
    """A batch that cannot be run at all."""


@dataclasses.dataclass
class BatchStats(Work):
    """How a batch stands; grows while it runs.

    Attributes:
      lanes, busy: lanes of the present pool, and those that hold an edit.
      most_lanes: lanes of the widest pool so far.
      done: results given so far, invalid ones included.
      waiting: edits read but not admitted yet.
      compile_seconds: of compiling chunks so far.
    """

    lanes: int = 0
    busy: int = 0
    most_lanes: int = 0
    done: int = 0
    waiting: int = 0
    compile_seconds: float = 0.0

    @property
    def occupancy(self) -> float:
        """Lane-steps that moved an edit over those executed."""
        return self.lane_steps / max(self.lane_steps_executed, 1)

    @property
    def handle_occupancy(self) -> float:
        """Handle-steps that moved an edit over those executed."""
        return self.handle_steps / max(self.handle_steps_executed, 1)


class Batch(Iterable[DragResult]):
    """Results as they finish; `stats` tells at any time how it stands.

    Iterating it again runs the edits again, if `edits` can be iterated again.
    """

    def __init__(
        self,
        model: Model,
        edits: Iterable[EditRequest],
        *,
        lanes: int | Literal["auto"],
        devices: tuple[Device, ...],
        chunk: int,
        trace: bool,
        recipe: str,
    ):
        self.stats = BatchStats()
        self._model, self._edits, self._wanted = model, edits, lanes
        self._devices, self._chunk, self._trace = devices, chunk, trace
        self._recipe, self._begun = recipe, False
        self._most: int | None = None  # lanes, once memory ran out

    def __iter__(self) -> Iterator[DragResult]:
        if self._begun and iter(self._edits) is self._edits:
            raise BatchError("the edits were an iterator, and it is used up; give a list to run them again")
        self._begun, self.stats = True, BatchStats()
        return self._counted(Intake(self._model, self._edits, self._recipe))

    def _counted(self, intake: Intake) -> Iterator[DragResult]:
        for result in self._run(intake):
            self.stats.done += 1
            yield result

    def _run(self, intake: Intake) -> Iterator[DragResult]:
        while True:
            intake.read(None, 1)
            yield from _rejected(intake)
            if intake.queues:
                program = max(intake.queues, key=lambda key: len(intake.queues[key]))
                yield from self._through_pool(intake, program)
                if not intake.queues[program]:
                    del intake.queues[program]
            elif intake.exhausted:
                break
        if intake.failure is not None:
            raise intake.failure

    def _through_pool(self, intake: Intake, program: Hashable) -> Iterator[DragResult]:
        """All edits of one program that can be read, through one pool, or through narrower ones if memory runs out."""
        intake.read(program, 4 * MOST_LANES)
        queue = intake.queues[program]
        while True:
            pool = self._pool(queue, exhausted=intake.exhausted)
            try:
                yield from self._pumped(pool, intake, program)
                return
            except jax.errors.JaxRuntimeError as error:
                self._halve(pool.lanes, error)
                queue.extendleft(reversed(pool.abandoned()))

    def _halve(self, lanes: int, error: Exception) -> None:
        """Allow half as many lanes from here on; the first time is told.

        Raises:
          Exception: the error, if it is not of memory.
          BatchError: there is one lane a device already.
        """
        if not _OUT_OF_MEMORY.search(str(error)):
            raise error
        if lanes <= len(self._devices):
            raise BatchError(
                "not even one lane a device fits in memory; take bfloat16, fewer handles, or another device"
            ) from error
        if self._most is None:
            _log.warning("%d lanes do not fit in the device's memory; going on with half as many, no edit lost", lanes)
        self._most = max(lanes // 2, 1)

    def _pumped(self, pool: Pool, intake: Intake, program: Hashable) -> Iterator[DragResult]:
        """Edits of a program through a pool until none is left, or the next needs another pool."""
        queue, passed_over = intake.queues[program], 0
        finished: Callable[[], list[DragResult]] = list
        while True:
            intake.read(program, 4 * pool.lanes)
            passed_over = 0 if admit(pool, queue, patient=passed_over < _PATIENCE) else passed_over + 1
            if not queue and not intake.starved:
                self._shrink(pool)
            if pool.busy:
                pool.launch()
            self._note(pool, intake)
            yield from finished()  # while the chunk runs
            yield from _rejected(intake)
            if not pool.busy:
                return  # nothing of this program is left, or the next one needs a pool for more handles
            finished = pool.collect()
            self._note(pool, intake)

    def _pool(self, queue: Sequence[Edit], *, exhausted: bool) -> Pool:
        """A pool for what waits.

        Raises:
          BatchError: so many lanes do not fit in memory.
        """
        devices = len(self._devices)
        programs = programs_of(queue[0], self._devices, self._chunk, self._trace)
        lanes = self._wanted if isinstance(self._wanted, int) else auto_lanes(self._devices)
        if exhausted:
            lanes = min(lanes, 2 ** math.ceil(math.log2(len(queue))))
        lanes = min(lanes, self._most or lanes)
        counts = [len(edit.handles_yx) for edit in queue]
        while True:
            lanes = multiple(lanes, devices)
            budget = free_bytes(self._devices)
            rows = rows_for(counts, lanes, devices)
            try:
                pool = Pool(self._model, queue[0], lanes=lanes, handles=rows, programs=programs, work=self.stats)
            except jax.errors.JaxRuntimeError as error:  # some compilers look at a device's memory
                self._halve(lanes, error)
                lanes //= 2
                continue
            self.stats.compile_seconds += pool.compile_seconds
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
        """Halve the pool for as long as what is left has room, if that saves more time than compiling takes."""
        if not pool.busy:
            return
        devices = len(self._devices)
        lanes = pool.lanes
        while lanes // 2 >= pool.busy and lanes // 2 % devices == 0:
            lanes //= 2
        used = pool.handles_used
        rows = min(pool.handles, multiple(used, 4 * devices if used > 4 else devices))
        pays = pool.seconds_left * (1 - rows / pool.handles) > pool.chunk.seconds
        if lanes < pool.lanes and pays and pool.shrink(lanes, rows):
            self.stats.compile_seconds += pool.compile_seconds

    def _note(self, pool: Pool, intake: Intake) -> None:
        self.stats.lanes, self.stats.busy, self.stats.waiting = pool.lanes, pool.busy, intake.waiting
        self.stats.most_lanes = max(self.stats.most_lanes, pool.lanes)


def _rejected(intake: Intake) -> Iterator[DragResult]:
    while intake.invalid:
        yield intake.invalid.popleft()


def drag_many(
    model: Model,
    edits: Iterable[EditRequest],
    *,
    recipe: str = DEFAULT_RECIPE,
    lanes: int | Literal["auto"] = "auto",
    chunk: int = DEFAULT_CHUNK,
    device: Any = None,
    trace: bool = False,
) -> Batch:
    """Drag many edits at once; each comes out as `drag_one` would have it.

    Edits run in lanes of one compiled program, in chunks of iterations; between chunks finished edits leave and waiting
    ones take their lanes. Edits that need another program (masks, another space, block, radius or type) wait for it.
    A bad edit is a result with outcome INVALID and its reason, and one that meets a number that is not finite ends so;
    neither harms another. Where a device's memory runs out all the same, half as many lanes go on, and edits that were
    in lanes begin again.

    Args:
      model: what is edited.
      edits: read as they are needed, so it may be a generator. If it raises, the edits read till then come out first.
      recipe: of `drag.recipes`, what edits that name no space or no settings take.
      lanes: number of edits that run at once, rounded up to a multiple of the devices, or `auto`: as many as pay and
        fit in memory.
      chunk: iterations between two looks at the lanes.
      device: where to run, `gpu`, `gpu:0,1`, … (`placement.devices`), the lanes divided among all that are named; None:
        all devices that JAX prefers. If it is said, results are measured there as well.
      trace: whether results keep the coordinates of every iteration; handles and loss they always keep.

    Returns:
      An iterable over results as they finish, in any order, with `stats`.

    Raises:
      BatchError: lanes or chunk out of range; while iterating, if not even one lane a device fits in memory, or not as
        many as were asked for.
      DeviceError: no such device.
    """
    if lanes != "auto" and (isinstance(lanes, bool) or not isinstance(lanes, int) or lanes < 1):
        raise BatchError(f"lanes is {lanes!r}; it must be a whole number from 1, or 'auto'")
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise BatchError(f"chunk is {chunk!r}; it must be a whole number from 1")
    chosen = devices(device).devices
    if device is not None:
        model = placed(model, chosen[0])
    return Batch(model, edits, lanes=lanes, devices=chosen, chunk=chunk, trace=trace, recipe=recipe)
