"""How `dragspace batch` tells how far it is, on a terminal and off it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from rich.console import Console

from dragspace_jax.batch import BatchState
from dragspace_jax.cli.batch_bar import SECONDS_BETWEEN_LINES, BatchBar, duration
from dragspace_jax.drag import BatchStats
from tests.batch.edits import edit, write

Run = Callable[..., Result]


def test_progress_tells_of_lines_that_do_not_run(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(BatchBar, "update", lambda self, state: told.append((state.settled, len(instant.ran))))
    edits = write(tmp_path / "edits.jsonl", "{", edit(layers=9), edit())
    command = ("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out", "--pictures", "none")
    assert dragspace(*command).exit_code == 0
    assert told == [(1, 0), (2, 0), (3, 1)]
    told.clear()
    assert dragspace(*command, "--resume").exit_code == 0
    assert told == [(1, 1), (2, 1), (3, 1)]


def state(**changes: Any) -> BatchState:
    """30 of 40 edits ended after 300 iterations in all; half of the other ten's iterations are done."""
    values = {"settled": 30, "total": 40, "dragged": 30, "steps": 300, "seconds": 7.0, "compile_seconds": 100.0}
    return BatchState(**{**values, "stats": BatchStats(lanes=10, busy=10, lane_steps=350), **changes})


def test_the_time_left_counts_iterations_and_no_compiling() -> None:
    assert state().seconds_left == pytest.approx(1.0)
    assert state(compile_seconds=0.0).seconds_left == pytest.approx(1.0)
    assert state().edits_per_second == pytest.approx(30 / 7)
    assert np.isnan(state(dragged=0, steps=0).seconds_left)
    # The first of many lanes' edits that ends says nothing else than the last one: no jump by the number of lanes.
    first = state(settled=1, dragged=1, steps=10, seconds=2.0, stats=BatchStats(lanes=10, busy=9, lane_steps=100))
    assert first.seconds_left == pytest.approx(6.0)


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with BatchBar(Console(stderr=True, force_terminal=False), clock=lambda: now) as bar:
        bar.update(state(settled=10))
        now = 2 * SECONDS_BETWEEN_LINES
        bar.update(state())
        bar.update(state(settled=31))
    assert capsys.readouterr().err == "30 of 40 edits, 4.29 edits/s, 10 of 10 lanes busy, 1 s left\n"


def test_progress_on_a_terminal_is_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with BatchBar(Console(stderr=True, force_terminal=True, width=120)) as bar:
        bar.update(state())
    shown = capsys.readouterr().err
    assert "30/40" in shown
    assert "10 of 10 lanes busy" in shown


def test_durations() -> None:
    assert [duration(s) for s in (42.4, 185, 7810, float("nan"))] == ["42 s", "3:05 min", "2:10 h", "unknown time"]
