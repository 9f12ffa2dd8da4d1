"""A batch as its caller meets it: what it compiles, when it ends, what it refuses."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from dragspace_jax.drag import (
    BatchError,
    EditRequest,
    Outcome,
    drag_many,
    make_edit,
    supervision,
)
from dragspace_jax.drag.pool import Pool
from dragspace_jax.drag.programs import programs_of
from dragspace_jax.errors import DragspaceError
from dragspace_jax.stylegan2.generator import Generator

from .edits import SETTINGS, by_id, requests


def test_only_bad_edits_and_none_at_all(tiny_generator: Generator) -> None:
    bad = EditRequest(id="x", latents=np.zeros((2, 2)), handles_yx=[[1, 1]], targets_yx=[[2, 2]])
    assert [r.outcome for r in drag_many(tiny_generator, [bad, bad])] == [Outcome.INVALID] * 2
    assert list(drag_many(tiny_generator, [])) == []


def test_no_retrace_after_the_first_chunk(tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    original = supervision.motion_loss
    monkeypatch.setattr(supervision, "motion_loss", lambda *args: traced.append(1) or original(*args))
    settings = dataclasses.replace(SETTINGS, feature_block=8, radius_motion=31.0)  # a program that no other test runs
    batch = drag_many(tiny_generator, requests(tiny_generator, 24, settings), lanes=4, chunk=3)
    results = iter(batch)
    next(results)
    first = len(traced)
    assert first > 0
    while batch.stats.waiting:
        next(results)
    assert len(traced) == first


def test_a_second_batch_compiles_nothing(tiny_generator: Generator, caplog: pytest.LogCaptureFixture) -> None:
    """Programs are kept by devices and shapes; other edits, latents and rates run the same ones."""
    edits = requests(tiny_generator, 4)
    first = drag_many(tiny_generator, edits, lanes=4)
    assert len(list(first)) == 4
    others = [
        dataclasses.replace(edit, settings=dataclasses.replace(SETTINGS, learning_rate=0.02, steps=5)) for edit in edits
    ]
    with jax.log_compiles(), caplog.at_level("WARNING"):
        second = drag_many(tiny_generator, others, lanes=4)
        assert len(list(second)) == 4
    assert second.stats.compile_seconds == 0
    assert "Finished XLA compilation" not in caplog.text


def test_a_batch_runs_again_if_its_edits_can_be_read_again(tiny_generator: Generator) -> None:
    edits = requests(tiny_generator, 2, dataclasses.replace(SETTINGS, steps=2))
    batch = drag_many(tiny_generator, edits, lanes=2)
    assert [len(list(batch)), len(list(batch)), batch.stats.done] == [2, 2, 2]
    once = drag_many(tiny_generator, iter(edits), lanes=2)
    assert len(list(once)) == 2
    with pytest.raises(BatchError, match="iterator"):
        list(once)


def test_stopping_on_a_stall(tiny_generator: Generator) -> None:
    """A rate so small that nothing moves: with `stall` the edit ends early, without it at the step limit."""
    still = dataclasses.replace(SETTINGS, learning_rate=1e-9, steps=20)
    edit = dataclasses.replace(requests(tiny_generator, 1)[0], targets_yx=[[30.0, 30.0]], handles_yx=[[8.0, 8.0]])
    edits = [
        dataclasses.replace(edit, id=str(stall), settings=dataclasses.replace(still, stall=stall)) for stall in (0, 5)
    ]
    results = by_id(drag_many(tiny_generator, edits))
    assert (results["0"].outcome, results["0"].steps) == (Outcome.STEP_LIMIT, 20)
    assert (results["5"].outcome, results["5"].steps) == (Outcome.STALLED, 6)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lanes": 0}, "lanes is 0"),
        ({"lanes": 2.5}, "lanes is 2.5"),
        ({"chunk": 0}, "chunk"),
        ({"device": []}, "empty"),
    ],
)
def test_bad_options(tiny_generator: Generator, options: dict, message: str) -> None:
    with pytest.raises(DragspaceError, match=message):
        drag_many(tiny_generator, [], **options)


def test_more_lanes_than_memory(tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragspace_jax.drag.many.free_bytes", lambda devices: 1000)
    with pytest.raises(BatchError, match="fewer lanes"):
        next(iter(drag_many(tiny_generator, requests(tiny_generator, 4), lanes=4)))


def test_whole_maps_on_a_cpu_run_without_a_loop(tiny_generator: Generator) -> None:
    """An iteration a chunk; windows, many."""
    window, mask = requests(tiny_generator, 1)[0], np.zeros((32, 32))
    mask[24:] = 1
    edits = [make_edit(tiny_generator, each) for each in (window, dataclasses.replace(window, mask=mask))]
    assert [programs_of(edit, (jax.devices()[0],), 8, False).chunk for edit in edits] == [8, 1]


@pytest.mark.parametrize("method", ["launch", "collect"])
def test_memory_that_runs_out_loses_no_edit(
    tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """Once a result has been given, more than two lanes are too many; those in lanes begin again in fewer."""
    edits = requests(tiny_generator, 10)
    expected = by_id(drag_many(tiny_generator, edits, lanes=2))
    original = getattr(Pool, method)
    given = []

    def exhausted(pool: Pool):
        if pool.lanes > 2 and given:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 5 bytes")
        return original(pool)

    monkeypatch.setattr(Pool, method, exhausted)
    batch = drag_many(tiny_generator, edits, lanes=4)
    for result in batch:
        given.append(result)
    assert sorted(result.id for result in given) == sorted(expected)
    for result in given:
        assert result.steps == expected[result.id].steps
        np.testing.assert_allclose(result.latents.ws, expected[result.id].latents.ws, atol=1e-4)
    assert batch.stats.lane_steps == sum(result.steps for result in given)
    assert [record.message for record in caplog.records if "lanes do not fit" in record.message] == [
        "4 lanes do not fit in the device's memory; going on with half as many, no edit lost"
    ]


def test_memory_for_no_lane_at_all(tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(message: str):
        def launch(pool: Pool) -> None:
            raise jax.errors.JaxRuntimeError(message)

        return launch

    monkeypatch.setattr(Pool, "launch", fails("RESOURCE_EXHAUSTED: Out of memory"))
    with pytest.raises(BatchError, match="not even one lane"):
        list(drag_many(tiny_generator, requests(tiny_generator, 2), lanes=2))
    monkeypatch.setattr(Pool, "launch", fails("INTERNAL: something else"))
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        list(drag_many(tiny_generator, requests(tiny_generator, 2), lanes=2))
