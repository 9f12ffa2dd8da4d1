"""The table of a batch on the host: which edit sits in which lane, and which rows of the handles are its own.

A lane has one row in the arrays of lanes, and as many rows as it has handles in the arrays of handles; those are taken
from whatever rows are free. With several devices, each owns an equal and contiguous part of both.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.drag.edit import Edit
from dragspace_jax.drag.loop import Start
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.spaces import Space
from dragspace_jax.stylegan2 import GeneratorConfig

_NUMBERS = {
    "learning_rate": np.float32,
    "half_life": np.float32,
    "slow_down": np.float32,
    "pace": np.float32,
    "steps": np.int32,
    "tolerance": np.float32,
    "mask_weight": np.float32,
    "stall": np.int32,
}
"""The settings that may differ from lane to lane."""


class Table:
    """Host arrays of B lanes and N handles.

    Args:
      lanes, handles: numbers B and N of rows, each a multiple of `devices`.
      space: any edit's; all have spaces of its shape.
      settings: resolved; all edits share what is static in them.
      masked: whether the edits have masks; all or none.
      config: the model's.
      devices: among how many devices the rows are divided.
    """

    def __init__(
        self,
        *,
        lanes: int,
        handles: int,
        space: Space,
        settings: DragSettings,
        masked: bool,
        config: GeneratorConfig,
        devices: int = 1,
    ):
        self.settings, self.devices = settings, devices
        self.ws = np.zeros((lanes, config.num_ws, config.w_dim), np.float32)
        leaves, self._structure = jax.tree.flatten(space)
        # Lanes without an edit hold a whole space as well: nothing divides by zero there.
        self.spaces = [np.repeat(np.asarray(leaf)[None], lanes, 0) for leaf in leaves]
        self.numbers = {name: np.full(lanes, getattr(settings, name), kind) for name, kind in _NUMBERS.items()}
        self.mask = np.zeros((lanes, config.resolution, config.resolution), np.float32) if masked else None
        self.owner = np.full(handles, -1)
        self.handles_yx = np.zeros((handles, 2), np.float32)
        self.targets_yx = np.zeros((handles, 2), np.float32)

    def _part(self, lane: int) -> slice:
        """The rows of handles on the device that owns the lane."""
        size = len(self.owner) // self.devices
        device = lane * self.devices // len(self.ws)
        return slice(device * size, (device + 1) * size)

    def fits(self, lane: int, handles: int) -> bool:
        """Whether so many rows of handles are free for the lane."""
        return int(np.sum(self.owner[self._part(lane)] < 0)) >= handles

    def put(self, lane: int, edit: Edit, ws: np.ndarray, space: Space, settings: DragSettings) -> None:
        """Place an edit that fits: ws [L, D], settings resolved."""
        part = self._part(lane)
        rows = part.start + np.flatnonzero(self.owner[part] < 0)[: len(edit.handles_yx)]
        self.owner[rows] = lane
        self.handles_yx[rows], self.targets_yx[rows] = edit.handles_yx, edit.targets_yx
        self.ws[lane] = ws
        for stack, leaf in zip(self.spaces, jax.tree.leaves(space), strict=True):
            stack[lane] = leaf
        for name, numbers in self.numbers.items():
            numbers[lane] = getattr(settings, name)
        if self.mask is not None:
            self.mask[lane] = edit.mask

    def rows(self, lane: int) -> np.ndarray:
        """The lane's rows among the handles, in the edit's order."""
        return np.flatnonzero(self.owner == lane)

    def release(self, lane: int) -> None:
        """Free the rows of a lane's handles."""
        self.owner[self.owner == lane] = -1

    def start(self) -> Start:
        """Everything that is in the table, as `begin` takes it."""
        local = np.maximum(self.owner, 0) % (len(self.ws) // self.devices)
        numbers: dict[str, Any] = {name: jnp.asarray(values) for name, values in self.numbers.items()}
        return Start(
            space=jax.tree.unflatten(self._structure, map(jnp.asarray, self.spaces)),
            ws=jnp.asarray(self.ws),
            handles_yx=jnp.asarray(self.handles_yx),
            settings=dataclasses.replace(self.settings, **numbers),
            mask=None if self.mask is None else jnp.asarray(self.mask),
            lane=jnp.asarray(local, jnp.int32),
            targets_yx=jnp.asarray(self.targets_yx),
            valid=jnp.asarray(self.owner >= 0),
        )
