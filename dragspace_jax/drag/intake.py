"""Edits on their way into a batch: read as they are needed, checked, and sorted by the program that they need."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Hashable, Iterable

from dragspace_jax.drag.edit import Edit, EditRequest, Outcome, make_edit
from dragspace_jax.drag.pool import Pool
from dragspace_jax.drag.recipes import DEFAULT_RECIPE
from dragspace_jax.drag.result import DragResult
from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks import Model

NOTHING_YET = object()
"""What an iterator of edits gives where it has none at the moment, so that those in lanes go on."""
_READ_AHEAD = 4096  # edits that wait at most, of all programs
_ARRAYS_AHEAD = 64  # and with masks or other arrays, which are large
_INVALID_AHEAD = 256  # and results of bad edits that nobody has taken yet


class Intake:
    """What waits to be dragged.

    Attributes:
      queues: the waiting edits by their program.
      invalid: results of the edits that were refused.
      exhausted: nothing more will be read.
      starved: there was no edit at the moment, when one was last asked for.
      failure: what the caller's iterator raised, if that is why.
    """

    def __init__(self, model: Model, edits: Iterable[EditRequest], recipe: str = DEFAULT_RECIPE):
        self._model, self._edits, self._recipe = model, iter(edits), recipe
        self.queues: dict[Hashable, deque[Edit]] = {}
        self.invalid: deque[DragResult] = deque()
        self.exhausted = self.starved = False
        self.failure: Exception | None = None

    @property
    def waiting(self) -> int:
        """Edits that were read and are in no lane yet."""
        return sum(map(len, self.queues.values()))

    def read(self, program: Hashable, wanted: int) -> None:
        """Read edits until `wanted` of a program (None: of all) wait, or as many as may."""
        while not self.exhausted and self._room():
            if (self.waiting if program is None else len(self.queues.get(program, ()))) >= wanted:
                return
            try:
                request = next(self._edits, None)
            except Exception as error:  # the edits read so far come first
                self.failure, request = error, None
            self.starved = request is NOTHING_YET
            if self.starved:
                return
            if request is not None and not isinstance(request, EditRequest):
                self.failure, request = TypeError(f"an edit of a batch must be an EditRequest, not {request!r}"), None
            if request is None:
                self.exhausted = True
                return
            try:
                edit = make_edit(self._model, request, self._recipe)
            except DragspaceError as error:
                self.invalid.append(DragResult(id=request.id, outcome=Outcome.INVALID, reason=str(error)))
            else:
                self.queues.setdefault(edit.program, deque()).append(edit)

    def _room(self) -> bool:
        large = sum(len(queue) for queue in self.queues.values() if queue and queue[0].arrays)
        return self.waiting < _READ_AHEAD and large < _ARRAYS_AHEAD and len(self.invalid) < _INVALID_AHEAD


def admit(pool: Pool, queue: deque[Edit], *, patient: bool) -> bool:
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
        for edit in sorted(window, key=lambda edit: abs(len(edit.handles_yx) - share)):
            if pool.admit(edit):
                queue.remove(edit)
                patient = patient or edit is first
                break
        else:
            break
    return not queue or queue[0] is not first
