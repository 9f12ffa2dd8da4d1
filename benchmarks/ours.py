"""Our side: `drag_one` as a user calls it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dragspace_jax.drag import DragResult, DragSettings, drag_one
from dragspace_jax.drag.features import make_plan

from .case import Case, Run, Subject
from .flops import Work, span_work, window_spans

Engine = Literal["whole", "window"]
REPEATS = 3


def drag(subject: Subject, case: Case, iterations: int, engine: Engine | None = None) -> DragResult:
    """One drag of the case; `engine` None is what `drag_one` chooses itself."""
    settings = DragSettings(learning_rate=case.learning_rate, steps=iterations, engine=engine)
    return drag_one(subject.model, subject.ws0, case.points_yx, case.targets_yx, mask=case.mask, settings=settings)


def run(subject: Subject, case: Case, iterations: int, warmup: int, engine: Engine | None = None) -> Run:
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


def work(case: Case, engine: Engine | None = None) -> Work:
    """What an iteration computes: by the geometry of its windows, or whole up to the feature block."""
    settings = DragSettings(engine=engine).resolved(case.config, masked=case.masked)
    handles = len(case.points)
    plan = make_plan(case.config, settings, handles)
    return span_work(case.config, window_spans(case.config, plan, handles))
