"""The study's bookkeeping: cells that are told apart, best rates, paired ratios, and runs that go on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
import numpy as np
import pytest
from rich.progress import Progress

from dragspace_jax.arrays import write_arrays
from dragspace_jax.drag import DragResult, EditRequest, Outcome, drag_many
from dragspace_jax.spaces import WPlus
from dragspace_jax.stylegan2 import Generator, Latents
from scripts.dragganspace import runs
from scripts.dragganspace.cells import Cell, by_program, confirmation, grid, paces, rivals, schedules
from scripts.dragganspace.edits import StudyEdit
from scripts.dragganspace.figures import FIGURES
from scripts.dragganspace.manifest import check_manifest
from scripts.dragganspace.tables import Row, best_rates, read_rows, steps_ratio


def row(rate: float, *, steps: float, landmark: float, reached: float = 1.0) -> Row:
    figures = {name: np.ones(8) for name in FIGURES}
    spread = np.arange(8) - 3.5
    figures |= {"steps": steps + spread, "landmark": landmark + 0 * spread, "reached": np.full(8, reached)}
    return Row(Cell(space="full", layers=6, rate=rate), figures)


def test_every_cell_has_files_of_its_own() -> None:
    cells = {*grid(), *rivals(), *schedules(), *paces()}
    assert len({cell.key for cell in cells}) == len(cells)
    assert sum(map(len, by_program(cells))) == len(cells)


def test_the_best_rate_is_fast_but_brings_the_landmark_as_near() -> None:
    rows = [
        row(1e-3, steps=90, landmark=1.0),
        row(2e-3, steps=40, landmark=1.2),
        row(5e-3, steps=20, landmark=2.0),  # farther than the predictor's error
        row(1e-2, steps=10, landmark=0.9, reached=0.8),  # loses targets
    ]
    (best,) = best_rates(rows, error=0.4)
    assert best.cell.rate == 2e-3
    ratio, low, high = steps_ratio(best, rows[0])
    assert ratio == pytest.approx(40 / 90)
    assert low <= ratio <= high


def test_a_work_folder_is_of_one_predictor_and_its_models(tmp_path: Path) -> None:
    check_manifest(tmp_path, {"critters-dog": "abc", "predictor": "123"})
    check_manifest(tmp_path, {"critters-cat": "def", "predictor": "123"})
    with pytest.raises(click.ClickException, match=r"results of another predictor \(123, now 456\)"):
        check_manifest(tmp_path, {"critters-cat": "def", "predictor": "456"})
    (tmp_path / "old" / "dog-64").mkdir(parents=True)
    (tmp_path / "old" / "dog-64" / "cell.npz").touch()
    with pytest.raises(click.ClickException, match="networks that it does not name"):
        check_manifest(tmp_path / "old", {"predictor": "123"})


@pytest.mark.parametrize("folder", ["figures", "judged"])
def test_figures_are_read_from_folders_of_now_and_before(folder: str, tmp_path: Path) -> None:
    cells = [cell for cell in schedules() if cell.half_life or cell.slow_down or cell.solver == "adam-norm"]
    (tmp_path / folder).mkdir()
    for cell in cells:
        write_arrays(tmp_path / folder / f"{cell.key}.npz", {name: np.ones(2) for name in FIGURES})
    assert [row.cell for row in read_rows(cells, [tmp_path])] == cells


def test_keys_and_blocks_are_those_of_the_study_as_it_was_run() -> None:
    cell = Cell(space="pca", components=32, power=1.0, layers=6, rate=0.02, solver="adam-norm", momentum=0.5, pace=2.0)
    assert cell.key == "pca32w1-n6-adam-norm-m0.5-lr0.02-pace2"
    assert {cell.block for cell in (*grid(), *rivals(), *schedules(), *paces(), *confirmation())} == {64}


def test_a_cell_has_a_pace_or_a_schedule(tiny_generator: Generator) -> None:
    with pytest.raises(ValueError, match="has a pace and a schedule"):
        Cell(space="full", layers=6, rate=0.1, pace=2.0, half_life=20.0).settings(tiny_generator.config)


def test_runs_go_on_where_they_stopped(
    tmp_path: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = np.zeros((8, 16), np.float32)
    edit = StudyEdit(
        name="nose", landmark=0, ws=ws, handle_yx=np.array([9.0, 9.0]), target_yx=np.array([9.0, 15.0]),
        region=np.ones((32, 32), bool), wanted=np.zeros(3),
    )  # fmt: skip
    asked: list[str] = []

    def instant(model: Generator, requests, lanes: int):
        for request in requests:
            asked.append(request.id)
            there = np.array([[9.0, 14.0]], np.float32)
            yield DragResult(
                id=request.id,
                outcome=Outcome.REACHED,
                latents=Latents(ws=ws),
                steps=3,
                handles_yx=there,
                targets_yx=there + 0.5,
            )

    monkeypatch.setattr(runs, "drag_many", instant)
    cells = [Cell(space="full", layers=6, rate=rate, block=32) for rate in (1e-3, 2e-3)]
    for count in (1, 2, 2):
        with Progress(disable=True) as bar:
            runs.run_cells(tiny_generator, cells[:count], [edit, edit], tmp_path / "dog", (None, None), bar)  # type: ignore[arg-type]
    assert len(asked) == 4  # nothing ran twice
    with np.load(tmp_path / "dog" / f"{cells[0].key}.npz") as kept:
        assert kept["steps"].tolist() == [3, 3]
        np.testing.assert_allclose(kept["distance"], np.sqrt(0.5))
        assert kept["ws"].shape == (2, 8, 16)


def test_directions_and_step_sizes_of_the_study_run(tiny_generator: Generator) -> None:
    """What the commands do not have is a method: one second moment for all coordinates, a rate on a schedule."""
    request = EditRequest(latents=np.ones((8, 16)), handles_yx=[[9, 9]], targets_yx=[[9, 20]], space=WPlus(layers=6))
    plain = Cell(space="full", layers=6, rate=0.05, block=32)
    cells = [
        (plain, 1),
        (dataclasses.replace(plain, solver="adam-norm"), 1),
        (dataclasses.replace(plain, slow_down=22.0), 1),
        (plain, 2),
        (dataclasses.replace(plain, half_life=1.0), 2),
        (dataclasses.replace(plain, solver="adam-norm", pace=1e-6), 1),
    ]
    moved = []
    for cell, steps in cells:
        settings = dataclasses.replace(cell.settings(tiny_generator.config), steps=steps, tolerance=0.1)
        (result,) = drag_many(tiny_generator, [dataclasses.replace(request, settings=settings)])
        moved.append(np.abs(result.latents.ws - 1.0)[:6])
    adam, norm, slowed, longer, halved, paced = moved
    np.testing.assert_allclose(adam.max(), 0.05, rtol=1e-3)  # whatever the gradient
    np.testing.assert_allclose(np.sqrt(np.square(norm).mean()), 0.05, rtol=1e-3)  # along the gradient
    np.testing.assert_allclose(slowed.max(), 0.025, rtol=1e-3)  # 11 px are left
    assert adam.max() < halved.max() < longer.max()
    np.testing.assert_allclose(paced, norm / 8, rtol=1e-3, atol=1e-6)  # so slow a pace shortens a step as far as it may
