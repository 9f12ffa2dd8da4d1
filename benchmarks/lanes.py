"""The implementation in lanes: edits of different seeds through `drag_many`."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Mapping
from typing import Literal

import numpy as np

from dragspace_jax.drag import DragSettings, EditRequest, Outcome, drag_many
from dragspace_jax.stylegan2 import Generator

from .case import Case, latents
from .device_rates import Precision

WARMUP_ROUNDS = 1
"""Edits per lane before the clock starts: what they need is compiled then."""
SEEDS = 64
"""Different images; more edits begin again with the first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchRun:
    """What a batch did once it was warm.

    Attributes:
      lanes: B.
      seconds: from the last result of the warm-up to the last timed one, harvesting and refilling included.
      timed: how many edits that time holds.
      steps: their iterations, all together.
      ends: {seed: (last handles [N, 2] in px, final latents [L, D])}.
    """

    lanes: int
    seconds: float
    timed: int
    steps: int
    ends: Mapping[int, tuple[np.ndarray, np.ndarray]]


def drag_batch(
    model: Generator,
    case: Case,
    *,
    rounds: int,
    lanes: int | Literal["auto"],
    iterations: int,
    dtype: Precision,
) -> BatchRun:
    """Drag the case's handles on `rounds` edits per lane, timed, after a round that is not.

    All edits take the same number of iterations, so a round's results come together; and there are always more of
    them, so the batch stays full.
    """
    settings = DragSettings(learning_rate=case.learning_rate, steps=iterations, dtype=dtype)
    starts = latents(model, range(SEEDS))
    edits = (
        EditRequest(
            id=str(number),
            latents=starts[number % SEEDS],
            handles_yx=case.points_yx,
            targets_yx=case.targets_yx,
            settings=settings,
        )
        for number in itertools.count()
    )
    batch = drag_many(model, edits, lanes=lanes)
    ends, start, steps = {}, 0.0, 0
    for done, result in enumerate(batch, 1):
        if result.outcome == Outcome.INVALID:
            raise RuntimeError(f"edit {result.id} of {case.title} is invalid: {result.reason}")
        ends[int(result.id) % SEEDS] = result.handles_yx, result.ws
        width = batch.stats.lanes
        warm, last = WARMUP_ROUNDS * width, (WARMUP_ROUNDS + rounds) * width
        steps += result.steps if done > warm else 0
        if done == warm:
            start = time.perf_counter()
        elif done == last:
            seconds = time.perf_counter() - start
            return BatchRun(lanes=width, seconds=seconds, timed=rounds * width, steps=steps, ends=ends)
    raise AssertionError("there are always more edits")
