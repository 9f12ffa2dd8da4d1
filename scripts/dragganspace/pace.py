"""What a step of an edit costs in each space: all programs in one process, in turns, warmed up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import numpy as np

from dragspace_jax.drag import DragSettings
from dragspace_jax.drag.edit import make_edit
from dragspace_jax.drag.features import make_engine
from dragspace_jax.drag.lanes import run_chunk
from dragspace_jax.drag.loop import begin_compiled
from dragspace_jax.drag.table import Table
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
    side = model.config.resolution
    table = Table(lanes=LANES, handles=LANES, space=space, settings=settings, masked=False, config=model.config)
    for lane in range(LANES):
        edit = edits[lane % len(edits)]
        table.put(lane, make_edit(edit.handle_yx[None], edit.target_yx[None], side), edit.ws, space, settings)
    table.numbers["learning_rate"][:] = _STANDING
    engine = make_engine(model, settings, 1)
    lanes, state = begin_compiled(engine, table.start())
    compiled = jax.jit(partial(run_chunk, length=LENGTH))
    return lambda: jax.block_until_ready(compiled(engine, lanes, state))
