"""Edits on their way into a batch: read as they are needed, checked, and sorted by what must share a program."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

import jax

from dragspace_jax.drag.edit import Outcome, check_latents, make_edit
from dragspace_jax.drag.pool import Job
from dragspace_jax.drag.request import EditRequest, LaneResult
from dragspace_jax.drag.settings import DragSettings, EditError
from dragspace_jax.errors import DragspaceError
from dragspace_jax.spaces import Space, WPlus, default_layers
from dragspace_jax.stylegan2 import Generator

_READ_AHEAD = 4096  # edits that wait at most, of all kinds
_MASKS_AHEAD = 64  # and with masks, which are large
_INVALID_AHEAD = 256  # and results of bad edits that nobody has taken yet


class Intake:
    """What waits to be dragged.

    Attributes:
      queues: the waiting edits of each kind; kinds differ in their space's shape, static settings or masks.
      invalid: results of the edits that were refused.
      exhausted: nothing more will be read.
      failure: what the caller's iterator raised, if that is why.
    """

    def __init__(self, model: Generator, edits: Iterable[EditRequest]):
        self._model, self._edits = model, iter(edits)
        self._default_space = WPlus(layers=default_layers(model.config.num_ws))
        self.queues: dict[Hashable, deque[Job]] = {}
        self.invalid: deque[LaneResult] = deque()
        self.exhausted = False
        self.failure: Exception | None = None

    @property
    def waiting(self) -> int:
        return sum(map(len, self.queues.values()))

    def read(self, kind: Hashable, wanted: int) -> None:
        """Read edits until `wanted` of a kind (None: of all) wait, or as many as may."""
        while not self.exhausted and self._room():
            if (self.waiting if kind is None else len(self.queues.get(kind, ()))) >= wanted:
                return
            try:
                request = next(self._edits, None)
            except Exception as error:  # the edits read so far come first
                self.failure, request = error, None
            if request is not None and not isinstance(request, EditRequest):
                self.failure, request = TypeError(f"an edit of a batch must be an EditRequest, not {request!r}"), None
            if request is None:
                self.exhausted = True
                return
            try:
                job = self._checked(request)
            except DragspaceError as error:
                self.invalid.append(LaneResult(id=request.id, outcome=Outcome.INVALID, reason=str(error)))
            else:
                self.queues.setdefault(_kind(job), deque()).append(job)

    def _room(self) -> bool:
        masked = sum(len(queue) for queue in self.queues.values() if queue and queue[0].edit.mask is not None)
        return self.waiting < _READ_AHEAD and masked < _MASKS_AHEAD and len(self.invalid) < _INVALID_AHEAD

    def _checked(self, request: EditRequest) -> Job:
        config = self._model.config
        space = self._default_space if request.space is None else request.space
        settings = DragSettings() if request.settings is None else request.settings
        if not isinstance(space, Space):
            raise EditError(f"space is {space!r}; it must be a space such as WPlus(), or None")
        if not isinstance(settings, DragSettings):
            raise EditError(f"settings is {settings!r}; it must be DragSettings(), or None")
        space.check(self._model)
        return Job(
            id=request.id,
            edit=make_edit(request.handles_yx, request.targets_yx, config.resolution, request.mask),
            ws=check_latents(config, request.ws),
            space=space,
            settings=settings.resolved(config, masked=request.mask is not None),
        )


def _kind(job: Job) -> Hashable:
    """What edits must share to run in one program."""
    leaves, structure = jax.tree.flatten(job.space)
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    return structure, shapes, jax.tree.structure(job.settings), job.edit.mask is None
