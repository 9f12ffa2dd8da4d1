"""Our side of `drag_speed`: `drag_one` as a user calls it."""

from __future__ import annotations

import numpy as np

from benchmarks.case import Case, Run
from dragspace_jax.drag import DragSettings, drag_one
from benchmarks.torch_reference.transfer import our_generator

REPEATS = 3


def run(case: Case, iterations: int, warmup: int) -> Run:
    """Drag `warmup` times, then `REPEATS` times timed; a whole drag, its set-up included, over its iterations.

    `first_ms` is the first iteration, compilation included.
    """
    generator = our_generator(case.generator.config, case.generator)
    settings = DragSettings(learning_rate=case.learning_rate, steps=iterations)
    results = [
        drag_one(generator, case.ws0, case.points_yx, case.targets_yx, settings=settings)
        for _ in range(warmup + REPEATS)
    ]
    timed = results[warmup:]
    return Run(
        first_ms=1e3 * results[0].seconds_to_first,
        iteration_ms=np.array([1e3 * result.seconds / result.steps for result in timed]),
        handles_yx=timed[-1].handles_yx,
        latents=timed[-1].latents,
    )
