"""What a step of an edit costs in each space: all programs in one process, in turns, warmed up.

What a batch does between two chunks is part of it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dragspace_jax.drag import DragSettings, EditRequest, drag_many
from dragspace_jax.spaces import Space
from dragspace_jax.stylegan2 import Generator
from scripts.dragganspace.edits import StudyEdit

LANES, LENGTH, ROUNDS = 16, 16, 9
_STANDING = 1e-12  # a learning rate at which no drag arrives: all lanes run all the time


def seconds_a_step(
    model: Generator, charts: Mapping[str, tuple[Space, DragSettings]], edits: Sequence[StudyEdit]
) -> dict[str, float]:
    """Median seconds of an iteration of one lane, {name: seconds}, for each space and resolved settings."""
    timed = {name: _chunk(model, space, settings, edits) for name, (space, settings) in charts.items()}
    for run in timed.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(ROUNDS):
        for name, run in timed.items():
            began = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - began) / (LANES * LENGTH))
    return {name: float(np.median(values)) for name, values in times.items()}


def _chunk(model: Generator, space: Space, settings: DragSettings, edits: Sequence[StudyEdit]) -> Callable[[], object]:
    still = dataclasses.replace(settings, learning_rate=_STANDING, steps=LENGTH)
    requests = [
        EditRequest(
            latents=edit.ws,
            handles_yx=edit.handle_yx[None],
            targets_yx=edit.target_yx[None],
            space=space,
            settings=still,
        )
        for edit in (edits[lane % len(edits)] for lane in range(LANES))
    ]
    batch = drag_many(model, requests, lanes=LANES, chunk=LENGTH)
    return lambda: list(batch)
