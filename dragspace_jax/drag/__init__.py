"""Dragging: edits, the published loop, one edit at a time."""

from dragspace_jax.drag.edit import DragSettings, Edit, EditError, Outcome, make_edit
from dragspace_jax.drag.single import DragResult, drag_one

__all__ = ["DragResult", "DragSettings", "Edit", "EditError", "Outcome", "drag_one", "make_edit"]
