"""The table of a batch on the host: which edit sits in which lane, and which rows of the handles are its own.

A lane has one row in the arrays of lanes, and as many rows as it has handles in the arrays of handles; those are taken
from whatever rows are free. With several devices, each owns an equal and contiguous part of both.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from dragspace_jax.drag.edit import Edit
from dragspace_jax.drag.state import Handles, Start


class Table:
    """Host arrays of B lanes and N handles.

    Args:
      edit: any of those that will sit there; all share its program.
      lanes, handles: numbers B and N of rows, each a multiple of `devices`.
      devices: among how many devices the rows are divided.
    """

    def __init__(self, edit: Edit, *, lanes: int, handles: int, devices: int = 1):
        self.lanes, self.devices = lanes, devices
        leaves, self._structure = jax.tree.flatten(edit.parts)
        # Lanes without an edit hold a whole one as well: nothing divides by zero there.
        self._stacks = [np.repeat(_exact(leaf)[None], lanes, 0) for leaf in leaves]
        self.owner = np.full(handles, -1)
        self._start_yx = np.zeros((handles, 2), np.float32)
        self._targets_yx = np.zeros((handles, 2), np.float32)

    def _part(self, lane: int) -> slice:
        """The rows of handles on the device that owns the lane."""
        size = len(self.owner) // self.devices
        device = lane * self.devices // self.lanes
        return slice(device * size, (device + 1) * size)

    def fits(self, lane: int, handles: int) -> bool:
        """Whether so many rows of handles are free for the lane."""
        return int(np.sum(self.owner[self._part(lane)] < 0)) >= handles

    def put(self, lane: int, edit: Edit) -> None:
        """Place an edit that fits."""
        part = self._part(lane)
        rows = part.start + np.flatnonzero(self.owner[part] < 0)[: len(edit.handles_yx)]
        self.owner[rows] = lane
        self._start_yx[rows], self._targets_yx[rows] = edit.handles_yx, edit.targets_yx
        for stack, leaf in zip(self._stacks, jax.tree.leaves(edit.parts), strict=True):
            stack[lane] = leaf

    def rows(self, lane: int) -> Int[np.ndarray, " N"]:
        """The lane's rows among the handles, in the edit's order."""
        return np.flatnonzero(self.owner == lane)

    def release(self, lane: int) -> None:
        """Free the rows of a lane's handles."""
        self.owner[self.owner == lane] = -1

    def start(self) -> Start:
        """Everything that is in the table, as `begin` takes it."""
        local = np.maximum(self.owner, 0) % (self.lanes // self.devices)
        # Copies: the table goes on changing while a device may still read.
        stacks = [stack.copy() for stack in self._stacks]
        handles = (local.astype(np.int32), self._start_yx.copy(), self._targets_yx.copy(), self.owner >= 0)
        stacks, (lane, start_yx, targets_yx, valid) = jax.device_put((stacks, handles))
        latents, space, settings, arrays = jax.tree.unflatten(self._structure, stacks)
        return Start(
            latents=latents,
            space=space,
            settings=settings,
            arrays=arrays,
            handles=Handles(lane=lane, start_yx=start_yx, targets_yx=targets_yx, valid=valid),
        )


def _exact(leaf: Any) -> np.ndarray:
    """A leaf as an array of the types that programs take: float32, int32, bool."""
    array = np.asarray(leaf)
    return array.astype({"f": np.float32, "i": np.int32}.get(array.dtype.kind, array.dtype))
