"""A worker by itself: edits in rounds, the same results as in one batch."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from dragspace_jax.batch.worker import Ended, Worker, WorkerOptions
from dragspace_jax.drag import BatchStats, drag_many
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.stylegan2 import Generator
from tests.drag.edits import by_id, requests


def test_edits_in_rounds(tiny_generator: Generator) -> None:
    edits = requests(tiny_generator, 7)
    expected = by_id(drag_many(tiny_generator, edits, lanes=2))
    values = {name: np.asarray(value) for name, value in parameters(tiny_generator).items()}
    options = WorkerOptions(config=tiny_generator.config, values=values, lanes=2, pictures="after", platform="cpu")
    worker = Worker(pickle.loads(pickle.dumps(options)), 0, lambda reference: reference)
    found: dict[str, Ended] = {}
    stats = BatchStats()

    def exchange(given: list[Any], *, last: bool) -> None:
        nonlocal stats
        ended, stats = worker.exchange([(edit, edit.space) for edit in given], last=last)
        for each in pickle.loads(pickle.dumps(ended)):
            assert each.result.id not in found
            found[each.result.id] = each

    exchange(edits[:3], last=False)
    for _ in range(200):
        exchange([], last=False)
        if len(found) == 3:
            break
    exchange(edits[3:5], last=True)
    for _ in range(200):
        exchange([], last=True)
        if len(found) == 5:
            break
    assert worker._thread is not None
    worker._thread.join(30)  # the round is over, and the next begins anew
    exchange(edits[5:], last=True)
    for _ in range(200):
        exchange([], last=True)
        if len(found) == 7:
            break
    assert found.keys() == expected.keys()
    for name, each in found.items():
        assert each.result.steps == expected[name].steps
        np.testing.assert_allclose(each.result.latents.ws, expected[name].latents.ws, atol=1e-4)
        assert each.quality is not None
        assert each.images is not None
        assert each.images.shape == (1, 32, 32, 3)
    assert stats.lane_steps == sum(each.result.steps for each in found.values())


def test_an_error_reaches_the_caller(tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setattr("dragspace_jax.batch.worker.drag_many", broken)
    values = {name: np.asarray(value) for name, value in parameters(tiny_generator).items()}
    options = WorkerOptions(config=tiny_generator.config, values=values, lanes=2, pictures="none")
    worker = Worker(options, 0, lambda reference: reference)
    with pytest.raises(RuntimeError, match="a fault"):
        worker.exchange([(requests(tiny_generator, 1)[0], None)], last=True)
