"""What goes into a batch and what comes out of it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from dragspace_jax.drag.edit import Outcome
from dragspace_jax.drag.pool import Work
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.errors import DragspaceError
from dragspace_jax.spaces import Space


class BatchError(DragspaceError):
    """A batch that cannot be run at all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EditRequest:
    """One edit of a batch, as `drag_one` takes it; the id is the caller's.

    Attributes:
      id: names the result.
      ws: [L, D] or [1, L, D], the image's latents.
      handles_yx, targets_yx: [N, 2], pixels of the image, (y, x).
      mask: [H, W], 1 where the image must stay, or None.
      space: coordinates to move in; None: W+ on the first 6 layers. Different bases of one shape share a program.
      settings: None: `DragSettings()`.
    """

    id: str
    ws: ArrayLike
    handles_yx: ArrayLike
    targets_yx: ArrayLike
    mask: ArrayLike | None = None
    space: Space | None = None
    settings: DragSettings | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaneResult:
    """A finished edit of a batch.

    Attributes:
      outcome: how it ended.
      reason: why it is invalid, else None.
      ws: [L, D] float32, the final latents, the last finite ones; None if it is invalid, as all arrays here.
      handles_yx: [N, 2] float32, as last tracked, pixels.
      targets_yx: [N, 2] float32, pixels.
      steps: iterations, the stopping one included.
      seconds: from its admission to a lane until its end was seen.
    """

    id: str
    outcome: Outcome
    reason: str | None = None
    ws: np.ndarray | None = None
    handles_yx: np.ndarray | None = None
    targets_yx: np.ndarray | None = None
    steps: int = 0
    seconds: float = 0.0

    @property
    def distances(self) -> np.ndarray:
        """[N], last distance of every handle to its target, pixels; empty if the edit is invalid."""
        if self.handles_yx is None or self.targets_yx is None:
            return np.zeros(0, np.float32)
        return np.linalg.norm(self.targets_yx - self.handles_yx, axis=1)


@dataclasses.dataclass
class BatchStats(Work):
    """How a batch stands; grows while it runs.

    Attributes:
      lanes, busy: lanes of the present pool, and those that hold an edit.
      most_lanes: lanes of the widest pool so far.
      done: results given so far, invalid ones included.
      waiting: edits read but not admitted yet.
    """

    lanes: int = 0
    busy: int = 0
    most_lanes: int = 0
    done: int = 0
    waiting: int = 0

    @property
    def occupancy(self) -> float:
        """Lane-steps that moved an edit over those executed."""
        return self.lane_steps / max(self.lane_steps_executed, 1)

    @property
    def handle_occupancy(self) -> float:
        """Handle-steps that moved an edit over those executed."""
        return self.handle_steps / max(self.handle_steps_executed, 1)
