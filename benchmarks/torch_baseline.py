"""The rival: the published drag loop in PyTorch, eager, as `tests/parity/torch_drag.py` has it.

Every iteration renders the whole image with per-sample weights, resizes the whole feature map to it and walks over the
points.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.case import Case, Run
from benchmarks.torch_reference.torch_drag import Drag, Settings, Step


def run(case: Case, iterations: int, warmup: int) -> Run:
    """Warm up on the case, then time each of `iterations` steps of a fresh edit."""

    def timed(edit: Drag) -> tuple[Step, float]:
        start = time.perf_counter()
        step = edit.step()
        return step, 1e3 * (time.perf_counter() - start)

    def fresh() -> Drag:
        settings = Settings(learning_rate=case.learning_rate)
        return Drag(case.generator, case.ws0, case.points_yx, case.targets_yx, settings=settings)

    warm = fresh()
    _, first_ms = timed(warm)
    for _ in range(warmup - 1):
        warm.step()
    edit = fresh()
    steps, milliseconds = zip(*(timed(edit) for _ in range(iterations)), strict=True)
    return Run(
        first_ms=first_ms,
        iteration_ms=np.array(milliseconds),
        handles_yx=np.stack([step.handles_yx for step in steps]),
        latents=np.stack([step.ws for step in steps]),
    )
