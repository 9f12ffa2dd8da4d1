"""Many edits at once come out as each alone, whatever shares the batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
import pytest

from dragspace_jax.drag import (
    DragResult,
    DragSettings,
    Edit,
    EditRequest,
    Method,
    Outcome,
    drag_many,
    drag_one,
    loop,
    make_edit,
)
from dragspace_jax.drag.intake import Intake
from dragspace_jax.drag.pool import Pool
from dragspace_jax.drag.programs import programs_for
from dragspace_jax.drag.state import DragState, StepInfo
from dragspace_jax.drag.step_sizes import Rate
from dragspace_jax.drag.supervision import MotionSupervision
from dragspace_jax.drag.table import Table
from dragspace_jax.spaces import fit_pca
from dragspace_jax.stylegan2.generator import Generator

from .doubles import GradientDescent
from .edits import SETTINGS, by_id, requests


def assert_same(result: DragResult, model: Generator, request: EditRequest) -> None:
    """The batch's result is that of the edit alone."""
    alone = drag_one(
        model,
        request.latents,
        request.handles_yx,
        request.targets_yx,
        mask=request.mask,
        space=request.space,
        settings=request.settings,
    )
    assert result.outcome == alone.outcome, request.id
    assert result.steps == alone.steps
    assert result.ws is not None
    assert result.trace is not None
    assert alone.trace is not None
    np.testing.assert_array_equal(result.trace.handles_yx, alone.trace.handles_yx)
    np.testing.assert_allclose(result.ws, alone.latents.ws, atol=1e-3)
    np.testing.assert_allclose(result.distances, alone.distances)


def test_one_step_of_many_is_one_step_of_each(tiny_generator: Generator) -> None:
    edits = [make_edit(tiny_generator, request) for request in requests(tiny_generator, 4)]
    programs = programs_for((jax.devices()[0],), 8, False)
    network = programs.prepared(tiny_generator, edits[0], 1)
    step = jax.jit(loop.step)

    def stepped(chosen: Sequence[Edit], lanes: int, rows: int) -> tuple[Table, DragState, StepInfo]:
        table = Table(chosen[0], lanes=lanes, handles=rows)
        for lane, edit in enumerate(chosen):
            table.put(lane, edit)
        constants, state = jax.jit(loop.begin)(network, table.start())
        state, _ = step(network, constants, state)
        return table, *step(network, constants, state)

    table, _, together = stepped(edits, lanes=6, rows=13)
    for lane, edit in enumerate(edits):
        single, _, alone = stepped([edit], lanes=1, rows=4)
        assert together.coordinates is not None
        assert alone.coordinates is not None
        np.testing.assert_allclose(together.coordinates[lane], alone.coordinates[0], atol=1e-5)
        np.testing.assert_allclose(together.loss[lane], alone.loss[0], rtol=1e-5)
        np.testing.assert_array_equal(together.handles_yx[table.rows(lane)], alone.handles_yx[single.rows(0)])


@pytest.mark.parametrize(("lanes", "chunk", "reverse"), [(1, 7, False), (4, 5, True), ("auto", 8, False)])
def test_results_do_not_depend_on_the_batch(
    tiny_generator: Generator, lanes, chunk: int, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reverse:  # shrink whatever compiling takes
        monkeypatch.setattr(Pool, "seconds_left", 1e9)
    edits = requests(tiny_generator, 9)
    batch = drag_many(tiny_generator, iter(edits[::-1] if reverse else edits), lanes=lanes, chunk=chunk)
    results = by_id(batch)
    assert set(results) == {edit.id for edit in edits}
    for edit in edits:
        assert_same(results[edit.id], tiny_generator, edit)
    assert batch.stats.done == 9
    assert batch.stats.lane_steps == sum(result.steps for result in results.values())
    assert 0 < batch.stats.occupancy <= 1
    assert 0 < batch.stats.handle_occupancy <= 1
    assert batch.stats.busy == 0


def test_edits_of_several_programs_share_a_batch(tiny_generator: Generator) -> None:
    """Masks and spaces; rates and lengths within one program."""
    edits = [
        dataclasses.replace(edit, handles_yx=[[12, 10 + i]], targets_yx=[[18, 20]])
        for i, edit in enumerate(requests(tiny_generator, 6))
    ]
    mask = np.zeros((32, 32), np.float32)
    mask[24:] = 1
    basis = fit_pca(tiny_generator, samples=300).truncated(5)
    changes: list[dict] = [
        {},
        {"mask": mask},
        {"space": basis},
        {"settings": dataclasses.replace(SETTINGS, learning_rate=0.01, steps=11)},
        {"mask": mask, "settings": dataclasses.replace(SETTINGS, mask_weight=3.0)},
        {"space": basis, "settings": dataclasses.replace(SETTINGS, steps=3)},
    ]
    edits = [dataclasses.replace(edit, **change) for edit, change in zip(edits, changes, strict=True)]
    results = by_id(drag_many(tiny_generator, edits, lanes=3))
    for edit in edits:
        assert_same(results[edit.id], tiny_generator, edit)


def test_bad_edits_harm_no_other(tiny_generator: Generator) -> None:
    edits = requests(tiny_generator, 5)
    edits[1] = dataclasses.replace(edits[1], latents=np.full((8, 16), 3e38, np.float32))  # overflows on the way
    edits[2] = dataclasses.replace(edits[2], handles_yx=[[40, 3]], targets_yx=[[1, 1]])
    edits[4] = dataclasses.replace(edits[4], settings=DragSettings(steps=3_000_000_000))
    results = by_id(drag_many(tiny_generator, edits, lanes=4))
    assert results["edit 1"].outcome == Outcome.NOT_FINITE
    assert results["edit 1"].steps == 1
    np.testing.assert_array_equal(results["edit 1"].latents.ws, edits[1].latents)  # pyright: ignore[reportArgumentType]
    for name, word in (("edit 2", "outside"), ("edit 4", "steps")):
        assert results[name].outcome == Outcome.INVALID
        assert word in (results[name].reason or "")
        assert results[name].ws is None
        assert results[name].distances.shape == (0,)
    for i in (0, 3):
        assert_same(results[f"edit {i}"], tiny_generator, edits[i])


def test_what_the_caller_does_meanwhile(tiny_generator: Generator) -> None:
    """It may use its arrays again, and it may fail."""
    edits = requests(tiny_generator, 3, dataclasses.replace(SETTINGS, steps=4))
    buffer = np.empty_like(edits[0].latents)

    def reusing() -> Iterator[EditRequest]:
        for edit in edits:
            buffer[:] = edit.latents
            yield dataclasses.replace(edit, latents=buffer)
        raise OSError("the disk is gone")

    batch = iter(drag_many(tiny_generator, reusing(), lanes=4))
    results = by_id(next(batch) for _ in range(3))
    for edit in edits:
        assert_same(results[edit.id], tiny_generator, edit)
        assert results[edit.id].ws.base is None  # pyright: ignore[reportOptionalMemberAccess]
    with pytest.raises(OSError, match="disk"):
        next(batch)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_edit(tiny_generator: Generator) -> None:
    """What was read before it comes out first."""
    edits = requests(tiny_generator, 1, dataclasses.replace(SETTINGS, steps=4))
    mixed: list[Any] = [edits[0], {"id": "x"}]
    wrong = iter(drag_many(tiny_generator, mixed, lanes=4))
    assert next(wrong).id == "edit 0"
    with pytest.raises(TypeError, match="EditRequest"):
        next(wrong)


def test_an_edit_with_more_handles_than_the_pool(tiny_generator: Generator) -> None:
    """It was not there when the pool was made; the pool drains, and the next one is made for it."""
    edits = requests(tiny_generator, 12, dataclasses.replace(SETTINGS, steps=4, stall=1))
    grid = np.stack(np.meshgrid(np.arange(4, 28, 5), np.arange(4, 28, 5)), -1).reshape(-1, 2)
    giant = dataclasses.replace(edits[0], id="giant", handles_yx=grid, targets_yx=grid[::-1])
    results = by_id(drag_many(tiny_generator, [*edits, giant], lanes=2, chunk=1))
    assert len(results) == 13
    assert_same(results["giant"], tiny_generator, giant)


def test_bases_of_one_shape_share_a_program(tiny_generator: Generator) -> None:
    bases = [fit_pca(tiny_generator, samples=300, seed=seed, components=5) for seed in (0, 1)]
    charts = [bases[0], bases[1].whitened(), bases[1], bases[0].whitened(0.5)]
    # Short and slow: what is asked is whose basis moves a lane, not how far rounding grows.
    straight = Method(objective=MotionSupervision(), direction=GradientDescent(), size=Rate())
    settings = dataclasses.replace(SETTINGS, method=straight, learning_rate=0.05, steps=8)
    edits = [
        dataclasses.replace(edit, handles_yx=[[12, 10 + i]], targets_yx=[[18, 20]], space=space, settings=settings)
        for i, (edit, space) in enumerate(zip(requests(tiny_generator, 4), charts, strict=True))
    ]
    intake = Intake(tiny_generator, edits)
    intake.read(None, 10)
    assert len(intake.queues) == 1
    results = by_id(drag_many(tiny_generator, edits, lanes=4))
    moved = [np.asarray(results[edit.id].ws) for edit in edits]
    for edit in edits:
        assert_same(results[edit.id], tiny_generator, edit)
    assert not np.allclose(moved[0], moved[2], atol=1e-3)
