"""Dragging: edits, the published loop, one edit at a time or many at once."""

from dragspace_jax.drag.edit import Edit, Outcome, make_edit
from dragspace_jax.drag.many import Batch, drag_many
from dragspace_jax.drag.request import BatchError, BatchStats, EditRequest, LaneResult
from dragspace_jax.drag.settings import DragSettings, EditError
from dragspace_jax.drag.single import DragResult, drag_one

__all__ = [
    "Batch",
    "BatchError",
    "BatchStats",
    "DragResult",
    "DragSettings",
    "Edit",
    "EditError",
    "EditRequest",
    "LaneResult",
    "Outcome",
    "drag_many",
    "drag_one",
    "make_edit",
]
