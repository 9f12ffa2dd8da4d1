"""Our side of `lanes_speed`: edits of different seeds through `drag_many`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

from dragspace_jax.drag import DragSettings, EditRequest, LaneResult, Outcome, drag_many
from dragspace_jax.stylegan2 import Generator

from .case import Case, Subject
from .device_rates import Precision

WARMUP_ROUNDS = 1
"""Edits a lane gets before the clock starts: what they need is compiled then."""
SPARE_ROUNDS = 1
"""Edits a lane gets after the clock has stopped: as a batch runs out of edits, it compiles programs for fewer lanes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchRun:
    """What a batch did once it was warm.

    Attributes:
      seconds: from the last result of the warm-up to the last timed one, harvesting and refilling included.
      results: by the edits' ids, those that were not timed too.
      timed: how many edits that time holds.
      steps: their iterations, all together.
    """

    seconds: float
    results: Mapping[str, LaneResult]
    timed: int
    steps: int


def drag_batch(model: Generator, case: Case, *, rounds: int, lanes: int, iterations: int, dtype: Precision) -> BatchRun:
    """Drag the case's handles on `rounds` edits a lane, timed, between rounds of the same batch that are not.

    All edits take the same number of iterations, so a round's results come together.
    """
    settings = DragSettings(learning_rate=case.learning_rate, steps=iterations, dtype=dtype)
    warm, timed = WARMUP_ROUNDS * lanes, rounds * lanes
    edits = [
        EditRequest(
            id=str(seed),
            ws=Subject.of(model, seed).ws0,
            handles_yx=case.points_yx,
            targets_yx=case.targets_yx,
            settings=settings,
        )
        for seed in range(warm + timed + SPARE_ROUNDS * lanes)
    ]
    results: dict[str, LaneResult] = {}
    start, end, steps = 0.0, 0.0, 0
    for result in drag_many(model, edits, lanes=lanes):
        if result.outcome == Outcome.INVALID:
            raise RuntimeError(f"edit {result.id} of {case.title} is invalid: {result.reason}")
        results[result.id] = result
        if len(results) == warm:
            start = time.perf_counter()
        elif warm < len(results) <= warm + timed:
            end, steps = time.perf_counter(), steps + result.steps
    return BatchRun(seconds=end - start, results=results, timed=timed, steps=steps)
