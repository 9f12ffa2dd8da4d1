"""Dragging: edits, methods, one edit at a time or many at once."""

from dragspace_jax.drag.edit import Edit, EditRequest, Outcome, make_edit
from dragspace_jax.drag.many import Batch, BatchError, BatchStats, drag_many
from dragspace_jax.drag.method import Method
from dragspace_jax.drag.result import DragResult, Trace
from dragspace_jax.drag.settings import DragSettings, EditError
from dragspace_jax.drag.single import drag_one

__all__ = [
    "Batch",
    "BatchError",
    "BatchStats",
    "DragResult",
    "DragSettings",
    "Edit",
    "EditError",
    "EditRequest",
    "Method",
    "Outcome",
    "Trace",
    "drag_many",
    "drag_one",
    "make_edit",
]
