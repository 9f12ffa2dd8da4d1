"""What an edit leaves: one type for a drag by itself and for the edits of a batch."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Float32, UInt8

from dragspace_jax.drag.edit import Edit, Outcome
from dragspace_jax.drag.quality import Quality
from dragspace_jax.networks.rendering import render_images
from dragspace_jax.viz.sheets import to_uint8


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """What every iteration told; T iterations ran.

    Attributes:
      handles_yx: [T, N, 2] float32, tracked at iteration t before its update, pixels.
      loss: [T] float32, before the update.
      coordinates: [T, K] float32, after iteration t; None where nobody asked for them.
      base: what the space did not move.
    """

    handles_yx: np.ndarray
    loss: np.ndarray
    coordinates: np.ndarray | None = None
    base: Any = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DragResult:
    """A finished edit.

    Attributes:
      id: the caller's.
      outcome: how it ended.
      reason: why it is invalid, else None.
      edit: what ran, checked and resolved; None if it is invalid, as all that follows.
      model: that it ran on.
      start: the latents it began with: those given, as the space expresses them.
      latents: the final ones, the last finite ones.
      handles_yx: [N, 2] float32, as last tracked, pixels.
      targets_yx: [N, 2] float32, pixels.
      steps: iterations that ran, the stopping one included.
      seconds: from its admission to a lane until its end was seen, without compiling.
      compile_seconds: of compiling before that, where it ran alone.
      trace: what every iteration told.
    """

    id: str
    outcome: Outcome
    reason: str | None = None
    edit: Edit | None = None
    model: Any = None
    start: Any = None
    latents: Any = None
    handles_yx: np.ndarray | None = None
    targets_yx: np.ndarray | None = None
    steps: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    trace: Trace | None = None

    def __repr__(self) -> str:
        if self.outcome == Outcome.INVALID:
            return f"<DragResult {self.id!r}: invalid, {self.reason}>"
        distances = ", ".join(f"{distance:.1f}" for distance in self.distances)
        return f"<DragResult {self.id!r}: {self.outcome.label} after {self.steps} steps, {distances} px left>"

    @property
    def ws(self) -> Float32[np.ndarray, "L D"] | None:
        """[L, D] float32, W+ of the final latents, for families that have one."""
        return getattr(self.latents, "ws", None)

    @property
    def distances(self) -> Float32[np.ndarray, " N"]:
        """[N], last distance of every handle to its target, pixels; empty if the edit is invalid."""
        if self.handles_yx is None or self.targets_yx is None:
            return np.zeros(0, np.float32)
        return np.linalg.norm(self.targets_yx - self.handles_yx, axis=1)

    @cached_property
    def quality(self) -> Quality | None:
        """How good the edit is, measured when it is first asked for; None if it is invalid.

        Costs about as much as a few iterations; of a model for the first time also a fit of its W, which is kept.
        """
        from dragspace_jax.drag.measure import measure  # measures results, so it stands above them

        return None if self.edit is None else measure([self])[0]

    def image(self) -> UInt8[np.ndarray, "H W 3"]:
        """uint8 [H, W, 3], the image of the final latents. Raises ValueError: the edit is invalid and has none."""
        if self.edit is None:
            raise ValueError(f"the edit is invalid and has no image: {self.reason}")
        settings = self.edit.settings
        latents = jax.tree.map(lambda leaf: leaf[None], self.latents)
        return to_uint8(render_images(self.model, latents, noise=settings.noise, dtype=settings.dtype))[0]

    def save(
        self, out: str | Path, *, pictures: Literal["none", "final", "all"] = "all", overwrite: bool = False
    ) -> None:
        """Fill a folder as `dragspace drag` does: pictures, GIF, trace, latents, result.json; see `results.write_drag`.

        Raises:
          FolderError: an earlier drag is there and `overwrite` is not said, or nothing can be written.
          ValueError: the edit is invalid, or the trace holds no coordinates.
        """
        from dragspace_jax.results import save_drag  # stands above the drag: what files hold, the loop need not know

        if self.edit is None:
            raise ValueError(f"the edit is invalid and leaves nothing to save: {self.reason}")
        save_drag(out, self, pictures=pictures, overwrite=overwrite)

    def traced_latents(self) -> Any:
        """The latents after every iteration, arrays [T, ...], made of the trace's coordinates.

        Raises:
          ValueError: the trace holds none; `drag_one` keeps them, `drag_many` with `trace=True`.
        """
        if self.edit is None or self.trace is None or self.trace.coordinates is None:
            raise ValueError("the trace holds no coordinates; drag_one keeps them, drag_many with trace=True")
        steps = len(self.trace.coordinates)
        rows = np.minimum(np.arange(2 ** math.ceil(math.log2(steps))), steps - 1)  # few programs for any number
        decoded = _decode(self.edit.space, self.trace.coordinates[rows], self.trace.base)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[:steps], decoded)


@jax.jit
def _decode(space: Any, coordinates: Float32[Array, "T K"], base: Any) -> Any:
    """Coordinates [T, K] of one edit → latents with a leading T."""
    return jax.vmap(lambda x: space.decode(x, base))(coordinates)
