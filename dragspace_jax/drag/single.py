"""One edit from start to end: a pool of one lane, and what every iteration told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike

from dragspace_jax.drag.edit import Edit, EditRequest, make_edit
from dragspace_jax.drag.many import DEFAULT_CHUNK
from dragspace_jax.drag.pool import Pool, Work
from dragspace_jax.drag.programs import programs_of
from dragspace_jax.drag.recipes import DEFAULT_RECIPE
from dragspace_jax.drag.result import DragResult
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.networks import Model
from dragspace_jax.placement import one_device, placed
from dragspace_jax.spaces import Space, Unmeasured


def drag_one(
    model: Model,
    latents: Any,
    handles_yx: ArrayLike,
    targets_yx: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    region: ArrayLike | None = None,
    recipe: str = DEFAULT_RECIPE,
    space: Space | Unmeasured | None = None,
    settings: DragSettings | None = None,
    device: Any = None,
    on_progress: Callable[[int, Float32[np.ndarray, "N 2"]], None] | None = None,
) -> DragResult:
    """Drag the handles of one image to their targets.

    Args:
      model: what is edited.
      latents: the image's: for StyleGAN2 ws [L, D] or [1, L, D], or `Latents`.
      handles_yx, targets_yx: [N, 2], pixels of the image, (y, x); handles are rounded to whole pixels.
      mask: [H, W], 1 where the image must stay, 0 where it may change.
      region: instead, [H, W], 1 where it may change; it grows somewhat, see `EditRequest`.
      recipe: of `drag.recipes`, what space and settings default to.
      space: coordinates to move in.
      settings: how to drag.
      device: where to run, `cpu`, `gpu:0`, … (`placement.devices`); None: where the model lies.
      on_progress: called for every iteration, a chunk of them at a time, with the iterations done and the handles
        [N, 2] (y, x).

    Returns:
      The result, with the trace; a drag that does not arrive is an outcome, not an error.

    Raises:
      EditError: bad points, mask, region, latents or settings.
      SpaceError: a space that does not fit the model.
      DeviceError: no such device.
    """
    model = placed(model, one_device(device))
    edit = make_edit(
        model,
        EditRequest(
            latents=latents,
            handles_yx=handles_yx,
            targets_yx=targets_yx,
            mask=mask,
            region=region,
            space=space,
            settings=settings,
        ),
        recipe,
    )
    return drag_made(model, edit, on_progress=on_progress)


def drag_made(
    model: Model, edit: Edit, *, on_progress: Callable[[int, Float32[np.ndarray, "N 2"]], None] | None = None
) -> DragResult:
    """`drag_one` of an edit that `make_edit` has made for the model."""
    device = min((d for leaf in jax.tree.leaves(model) for d in leaf.devices()), key=lambda d: d.id)
    programs = programs_of(edit, (device,), DEFAULT_CHUNK, True)
    pool = Pool(model, edit, lanes=1, handles=len(edit.handles_yx), programs=programs, work=Work())
    seat = pool.admit(edit)
    assert seat is not None  # the pool was made for it
    results: list[DragResult] = []
    while not results:
        pool.launch()
        finished = pool.collect()
        if on_progress is not None:
            told = seat.trace[-1].handles_yx
            for step, handles in enumerate(told, seat.steps - len(told) + 1):
                on_progress(step, handles)
        results = finished()
    return results[0]
