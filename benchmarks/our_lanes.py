"""Our side of `lanes_speed`: edits of different seeds through `drag_many`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

from dragspace_jax.drag import DragSettings, EditRequest, LaneResult, Outcome, drag_many
from dragspace_jax.stylegan2 import Generator

from .case import Case, Subject
from .device_rates import Precision

WARMUP_ROUNDS = 2
"""Edits a lane gets before the clock starts: the first compiles the start and the chunk, the second the refilling."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchRun:
    """What a batch did once it was warm.

    Attributes:
      seconds: from the last result of the warm-up to the last of all, harvesting and refilling included.
      results: by the edits' ids, the warm-up's too.
      timed: how many edits that time holds.
      steps: their iterations, all together.
    """

    seconds: float
    results: Mapping[str, LaneResult]
    timed: int
    steps: int


def drag_batch(model: Generator, case: Case, *, rounds: int, lanes: int, iterations: int, dtype: Precision) -> BatchRun:
    """Drag the case's handles on `rounds` edits a lane, timed, after a warm-up of `WARMUP_ROUNDS` in the same batch.

    All edits take the same number of iterations, so a round's results come together.
    """
    settings = DragSettings(learning_rate=case.learning_rate, steps=iterations, dtype=dtype)
    warm = WARMUP_ROUNDS * lanes
    edits = [
        EditRequest(
            id=str(seed),
            ws=Subject.of(model, seed).ws0,
            handles_yx=case.points_yx,
            targets_yx=case.targets_yx,
            settings=settings,
        )
        for seed in range(warm + rounds * lanes)
    ]
    results: dict[str, LaneResult] = {}
    start, steps = 0.0, 0
    for result in drag_many(model, edits, lanes=lanes):
        if result.outcome == Outcome.INVALID:
            raise RuntimeError(f"edit {result.id} of {case.title} is invalid: {result.reason}")
        results[result.id] = result
        if len(results) == warm:
            start = time.perf_counter()
        steps += result.steps if len(results) > warm else 0
    return BatchRun(seconds=time.perf_counter() - start, results=results, timed=rounds * lanes, steps=steps)
