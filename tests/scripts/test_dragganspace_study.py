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
from scripts.dragganspace.cells import (
    COMPONENTS,
    LOW_RATES,
    Cell,
    as_long,
    by_program,
    confirmation,
    grid,
    lengthened,
    paces,
    rivals,
    schedules,
    traced,
)
from scripts.dragganspace.edits import StudyEdit
from scripts.dragganspace.equal_distance import LEFT, between
from scripts.dragganspace.explanations import equal_distance, equal_steps, noise
from scripts.dragganspace.figures import FIGURES
from scripts.dragganspace.manifest import check_manifest
from scripts.dragganspace.noise import Noise, cosines, first_of_pairs, in_coordinates, path_ratio
from scripts.dragganspace.report import held, write_report
from scripts.dragganspace.tables import Row, best_rates, read_rows, steps_ratio
from scripts.dragganspace.traces import FIGURES as TRACED_FIGURES
from scripts.dragganspace.traces import path_of
from scripts.dragganspace_study import chosen_cells


def row(rate: float, *, steps: float, landmark: float, reached: float = 1.0) -> Row:
    figures = {name: np.ones(8) for name in FIGURES}
    spread = np.arange(8) - 3.5
    figures |= {"steps": steps + spread, "landmark": landmark + 0 * spread, "reached": np.full(8, reached)}
    return Row(Cell(space="full", layers=6, rate=rate), figures)


def test_every_cell_has_files_of_its_own() -> None:
    cells = {*grid(), *rivals(), *schedules(), *paces(), *lengthened()}
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


def test_parts_may_be_run_at_some_numbers_of_layers() -> None:
    assert {cell.layers for cell in chosen_cells("grid", "3,6")} == {3, 6}
    assert chosen_cells("grid,lengthened", "10") == [cell for cell in grid() if cell.layers == 10]
    with pytest.raises(click.BadParameter, match="7 layers: the study moves 3,6,10,12"):
        chosen_cells("grid", "6,7")


def test_a_report_tells_which_numbers_of_layers_it_holds(tmp_path: Path) -> None:
    spread = np.linspace(-1, 1, 4)
    for cell in (*chosen_cells("grid", "6"), *chosen_cells("grid", "3")[1:]):
        write_arrays(tmp_path / "figures" / f"{cell.key}.npz", dict.fromkeys(FIGURES, 20.0 + spread))
    assert held(read_rows(grid(), [tmp_path])) == [6]  # of 3 layers a cell is missing
    write_report([tmp_path], [tmp_path / "none"], 0.3, {}, tmp_path / "docs")
    tables = (tmp_path / "docs" / "tables.md").read_text()
    assert "these have not been run or not wholly: 3, 10, all." in tables
    assert "| 3 | W+" not in tables
    assert "Beyond" not in tables  # some of the rivals are cells of the grid, most are missing
    assert {path.name for path in (tmp_path / "docs").iterdir()} == {"tables.md", "cells.csv", "rates.png"}


def test_keys_and_blocks_are_those_of_the_study_as_it_was_run() -> None:
    cell = Cell(space="pca", components=32, power=1.0, layers=6, rate=0.02, solver="adam-norm", momentum=0.5, pace=2.0)
    assert cell.key == "pca32w1-n6-adam-norm-m0.5-lr0.02-pace2"
    assert {
        cell.block for cell in (*grid(), *rivals(), *schedules(), *paces(), *lengthened(), *traced(), *confirmation())
    } == {64}


def test_a_cell_has_a_pace_or_a_schedule(tiny_generator: Generator) -> None:
    with pytest.raises(ValueError, match="has a pace and a schedule"):
        Cell(space="full", layers=6, rate=0.1, pace=2.0, half_life=20.0).settings(tiny_generator.config)


def test_runs_go_on_where_they_stopped(
    tmp_path: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = np.zeros((8, 16), np.float32)
    edit = StudyEdit(
        name="nose", landmarks=np.array([0]), ws=ws,
        handles_yx=np.array([[9.0, 9.0]]), targets_yx=np.array([[9.0, 15.0]]),
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
    request = EditRequest(latents=np.ones((8, 16)), handles_yx=[[9, 9]], targets_yx=[[9, 20]], space=WPlus(layers=5))
    plain = Cell(space="full", layers=5, rate=0.05, block=16)
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
        moved.append(np.abs(result.latents.ws - 1.0)[:5])
    adam, norm, slowed, longer, halved, paced = moved
    np.testing.assert_allclose(adam.max(), 0.05, rtol=1e-3)  # whatever the gradient
    np.testing.assert_allclose(np.sqrt(np.square(norm).mean()), 0.05, rtol=1e-3)  # along the gradient
    np.testing.assert_allclose(slowed.max(), 0.025, rtol=1e-3)  # 11 px are left
    assert adam.max() < halved.max() < longer.max()
    np.testing.assert_allclose(paced, norm / 8, rtol=1e-3, atol=1e-6)  # so slow a pace shortens a step as far as it may


def test_scaled_rates_are_the_same_cells_as_the_grid_s() -> None:
    assert as_long(1e-3, 32) == 2e-3
    assert as_long(3e-4, 8) == 1.2e-3
    assert Cell(space="pca", layers=6, components=32, rate=as_long(1e-3, 32)) in grid()


def test_a_zigzag_has_a_long_path_and_cosines_below_zero() -> None:
    moved = np.array([[1.0, 0.5], [-1.0, 0.5], [1.0, 0.5], [-1.0, 0.5]])
    assert path_ratio(moved) == pytest.approx(4 * np.sqrt(1.25) / 2)
    np.testing.assert_allclose(cosines(moved), -0.6)
    np.testing.assert_allclose(cosines(np.ones((3, 2))), 1.0)


def test_pairs_of_gradients_lie_evenly_over_a_drag() -> None:
    assert first_of_pairs(101).tolist() == [0, 20, 40, 59, 79, 99]  # the last pair is 99 and 100
    assert first_of_pairs(3).tolist() == [0, 1]
    assert first_of_pairs(1).tolist() == []
    assert in_coordinates(np.zeros((0, 6, 16)), WPlus(layers=6)).shape == (0, 96)  # of a drag that arrives at once


def test_figures_are_compared_where_a_landmark_is_equally_far() -> None:
    left = np.array([1.0, 0.8, 0.4, 0.1, 0.3])
    assert between(left, 0.5, [0.9, 0.7]) == pytest.approx(0.75)  # three quarters of the way from 0.8 to 0.4
    assert between(left, 0.25, [0.7, 0.6]) == pytest.approx(0.65)


def test_the_gradient_of_a_trace_is_the_one_that_the_drag_went_down(tiny_generator: Generator) -> None:
    cell = Cell(space="full", layers=5, rate=0.05, momentum=0.0, block=16)
    settings = dataclasses.replace(cell.settings(tiny_generator.config), steps=3, tolerance=0.1)
    request = EditRequest(
        latents=np.ones((8, 16)), handles_yx=[[9, 9]], targets_yx=[[9, 20]], space=WPlus(layers=5), settings=settings
    )
    (result,) = drag_many(tiny_generator, [request], trace=True)
    path = path_of(result)
    assert path.shape == (4, 8, 16)
    measured = Noise.of(tiny_generator, settings)
    ((first, *_),) = measured.gradients([result], [path], [np.arange(2)])
    large = np.abs(first[:5]) > 1e-3 * np.abs(first).max()
    assert large.mean() > 0.5
    # Adam's first step is the rate against the sign of each coordinate's gradient.
    np.testing.assert_allclose((path[1] - path[0])[:5][large], -0.05 * np.sign(first[:5][large]), rtol=1e-2)
    figures = measured.figures([result], [path], WPlus(layers=5))
    assert figures["path"] >= 1.0
    assert -1.0 <= figures["cosine"] <= 1.0


def test_tables_say_what_the_steps_and_the_layers_bring() -> None:
    spread = np.linspace(-1, 1, 8)
    rows = [Row(cell, {name: np.full(8, 20.0) + spread for name in FIGURES}) for cell in lengthened()]
    lines = equal_steps(rows).splitlines()
    assert sum(line.count("1.00 (1.00–1.00)") for line in lines) == 2 * len(COMPONENTS) * len(LOW_RATES)
    assert equal_steps(rows[1:]) == ""
    traces = [
        Row(cell, {name: np.full(8, 0.1 * cell.layers) + 0.01 * spread for name in TRACED_FIGURES}) for cell in traced()
    ]
    assert len(noise(traces).splitlines()) == 6 + len(traced())
    good = [row for row in traces if row.cell.rate != LOW_RATES[0]]
    table = equal_distance(good, 6)
    assert table.count("-0.3000 ± 0.0000") == 2 * len(LEFT)  # 3 layers against 6, in W+ and PCA 32
