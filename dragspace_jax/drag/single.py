"""One edit from start to end: the thin host loop around the compiled iteration."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import jax
import numpy as np
from numpy.typing import ArrayLike

from dragspace_jax.drag.compiled import compiled_iteration
from dragspace_jax.drag.edit import Outcome, check_latents, make_edit
from dragspace_jax.drag.features import make_engine
from dragspace_jax.drag.loop import begin_compiled, latents_compiled
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.drag.table import Table
from dragspace_jax.spaces import Space, WPlus, default_layers
from dragspace_jax.stylegan2 import Generator


@dataclasses.dataclass(frozen=True, kw_only=True)
class DragResult:
    """A finished drag; T iterations ran.

    Attributes:
      outcome: how it ended.
      start: [L, D] float32, the latents it began with: those given, as the space expresses them.
      ws: [L, D] float32, the final latents.
      handles_yx: [T, N, 2] float32, tracked at iteration t before its update, pixels.
      latents: [T, L, D] float32, after iteration t.
      loss: [T] float32.
      targets_yx: [N, 2] float32, pixels.
      seconds: wall-clock time of the loop, compilation included.
      seconds_to_first: the part of it until the first iteration was there.
    """

    outcome: Outcome
    start: np.ndarray
    ws: np.ndarray
    handles_yx: np.ndarray
    latents: np.ndarray
    loss: np.ndarray
    targets_yx: np.ndarray
    seconds: float
    seconds_to_first: float

    @property
    def steps(self) -> int:
        """Iterations that ran, the stopping one included."""
        return len(self.loss)

    @property
    def distances(self) -> np.ndarray:
        """[N], last distance of every handle to its target, pixels."""
        return np.linalg.norm(self.targets_yx - self.handles_yx[-1], axis=1)


def drag_one(
    model: Generator,
    ws: ArrayLike,
    handles_yx: ArrayLike,
    targets_yx: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    space: Space | None = None,
    settings: DragSettings | None = None,
    on_progress: Callable[[int, np.ndarray], None] | None = None,
) -> DragResult:
    """Drag the handles of one image to their targets by the published loop.

    Args:
      model: the generator.
      ws: [L, D] or [1, L, D], the image's latents.
      handles_yx, targets_yx: [N, 2], pixels of the image, (y, x); handles are rounded to whole pixels.
      mask: [H, W], 1 where the image must stay, 0 where it may change.
      space: coordinates to move in; default W+ on the first 6 layers.
      settings: default `DragSettings()`.
      on_progress: called after every iteration with the iterations done and the handles [N, 2] (y, x).

    Returns:
      The result; a drag that does not arrive is an outcome, not an error.

    Raises:
      EditError: bad points, mask, latents or settings.
      SpaceError: a space that does not fit the model.
    """
    space = WPlus(layers=default_layers(model.config.num_ws)) if space is None else space
    space.check(model)
    settings = (DragSettings() if settings is None else settings).resolved(model.config, masked=mask is not None)
    edit = make_edit(handles_yx, targets_yx, model.config.resolution, mask)
    table = Table(
        lanes=1,
        handles=len(edit.handles_yx),
        space=space,
        settings=settings,
        masked=mask is not None,
        config=model.config,
    )
    table.put(0, edit, check_latents(model.config, ws), space, settings)

    began, first = time.perf_counter(), None
    packed = table.start()
    advance = compiled_iteration(model, packed)
    engine = make_engine(model, settings, len(edit.handles_yx))
    lanes, state = begin_compiled(engine, packed)
    begins_with = np.asarray(latents_compiled(lanes, state))[0]
    infos = []
    while not infos or int(state.outcome[0]) == Outcome.RUNNING:
        state, info = advance(engine, lanes, state)
        infos.append(jax.device_get(info))
        first = time.perf_counter() - began if first is None else first
        if on_progress is not None:
            on_progress(len(infos), infos[-1].handles_yx)
    assert first is not None  # at least one iteration ran
    trace = jax.tree.map(lambda *leaves: np.stack(leaves), *infos)
    return DragResult(
        outcome=Outcome(int(state.outcome[0])),
        start=begins_with,
        ws=trace.ws[-1, 0],
        handles_yx=trace.handles_yx,
        latents=trace.ws[:, 0],
        loss=trace.loss[:, 0],
        targets_yx=edit.targets_yx,
        seconds=time.perf_counter() - began,
        seconds_to_first=first,
    )
