"""Our side: `drag_one` as a user calls it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dragspace_jax.drag import DragResult, DragSettings, drag_one

from .case import Case, Run, Subject

REPEATS = 3


def drag(subject: Subject, case: Case, iterations: int, engine: str | None = None) -> DragResult:
    """One drag of the case; `engine` None is what `drag_one` chooses itself."""
    chosen: dict[str, Any] = {} if engine is None else {"engine": engine}
    settings = DragSettings(learning_rate=case.learning_rate, steps=iterations, **chosen)
    return drag_one(subject.model, subject.ws0, case.points_yx, case.targets_yx, mask=case.mask, settings=settings)


def run(subject: Subject, case: Case, iterations: int, warmup: int, engine: str | None = None) -> Run:
    """Drag `warmup` times, then `REPEATS` times timed; a whole drag, its set-up included, over its iterations.

    `first_ms` is the first iteration, compilation included.
    """
    results = [drag(subject, case, iterations, engine) for _ in range(warmup + REPEATS)]
    timed = results[warmup:]
    return Run(
        first_ms=1e3 * results[0].seconds_to_first,
        iteration_ms=np.array([1e3 * result.seconds / result.steps for result in timed]),
        handles_yx=timed[-1].handles_yx,
        latents=timed[-1].latents,
    )
