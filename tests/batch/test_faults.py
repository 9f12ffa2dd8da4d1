"""Batches that are ended in the middle: whatever is left is true, and going on loses, doubles and changes nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from dragspace_jax import batch
from dragspace_jax.errors import DragspaceError
from dragspace_jax.folders import locked
from dragspace_jax.stylegan2 import Generator
from tests.batch.edits import edit, records, write
from tests.batch.faults import Disk, full_from

Run = Callable[..., Result]
HOW: dict[str, Any] = {"pictures": "none", "space": "w+"}


@pytest.fixture
def edits(tmp_path: Path) -> Path:
    return write(tmp_path / "edits.jsonl", edit(id="a"), "{", edit(id="b"))


def results(out: Path) -> dict[str, Any]:
    """What a batch left, without what differs from run to run."""
    found = records(out)
    for record in found.values():
        record.pop("seconds", None)
        if "latents" in record:
            with np.load(out / record["latents"]) as arrays:
                record["arrays"] = {name: arrays[name].tolist() for name in arrays.files}
    return found


def failure(call: Callable[[], object]) -> OSError | None:
    """What it raises."""
    try:
        call()
    except OSError as error:
        return error
    return None


def test_killed_at_any_moment(
    tiny_generator: Generator, tmp_path: Path, edits: Path, instant: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder as it lies on the disk before each operation is what a SIGKILL would leave; each is gone on with."""
    out, states = tmp_path / "out", tmp_path / "states"

    def copy(number: int) -> None:
        shutil.copytree(out, states / str(number))

    with monkeypatch.context() as patch:
        disk = Disk(out, patch, copy)
        batch.run(edits, tiny_generator, out, **HOW)
    assert disk.operations > 20
    expected = results(out)
    seen = set()
    for number in range(disk.operations):
        state = states / str(number)
        left = {str(path.relative_to(state)): path.read_bytes() for path in state.rglob("*") if path.is_file()}
        if (key := tuple(sorted(left.items()))) in seen:
            continue
        seen.add(key)
        done = (state / "results.jsonl").read_text().count("latents/") if (state / "results.jsonl").exists() else 0
        instant.ran.clear()
        summary = batch.run(edits, tiny_generator, state, resume=True, **HOW)
        assert len(instant.ran) == 2 - done, number
        assert results(state) == expected, number
        assert summary.outcomes == {"invalid": 1, "reached": 2}
        assert {path.name for path in state.iterdir()} == {"images", "latents", "results.jsonl", "summary.json"}


def test_a_disk_that_is_full_at_any_moment(
    tiny_generator: Generator, tmp_path: Path, edits: Path, instant: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    batch.run(edits, tiny_generator, out, **HOW)
    expected = results(out)
    number, error = 0, OSError()
    while error is not None:
        shutil.rmtree(out)
        with monkeypatch.context() as patch:
            Disk(out, patch, full_from(number))
            error = failure(lambda: batch.run(edits, tiny_generator, out, **HOW))
        batch.run(edits, tiny_generator, out, resume=True, **HOW)
        assert results(out) == expected, number
        assert not list(out.rglob(".*")), number
        if error is not None:
            assert error.errno == errno.ENOSPC
            assert str(error.filename).startswith(str(out))
            assert ".part-" not in error.filename, number
        number += 1
    assert number > 20


@pytest.mark.parametrize("at", [3, 20])
def test_a_full_disk_is_one_line(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, edits: Path, instant: SimpleNamespace, at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    command = ("batch", edits, "--model", tiny_folder, "--out", out, "--pictures", "none", "--space", "w+")
    with monkeypatch.context() as patch:
        Disk(out, patch, full_from(at))
        ended = dragspace(*command)
    assert ended.exit_code == 1
    assert ended.output.count("\n") == 1
    assert ended.output.startswith(f"Error: {out}")
    assert f"{os.strerror(errno.ENOSPC)}; make room, then the same command with --resume goes on" in ended.output


def test_two_runs_in_one_folder(
    tiny_generator: Generator, tmp_path: Path, edits: Path, instant: SimpleNamespace
) -> None:
    out = tmp_path / "out"

    def second() -> None:
        with pytest.raises(DragspaceError, match="another run is writing in"):
            batch.run(edits, tiny_generator, out, resume=True, **HOW)
        instant.stop = lambda: None

    instant.stop_after, instant.stop = 1, second
    batch.run(edits, tiny_generator, out, **HOW)
    assert len(records(out)) == 3


def test_the_lock_of_a_run_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_keep_what_had_finished(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, edits: Path, instant: SimpleNamespace, name: str
) -> None:
    out = tmp_path / "out"
    number = getattr(signal, name)
    command = ("batch", edits, "--model", tiny_folder, "--out", out, "--pictures", "none", "--space", "w+")
    instant.stop_after, instant.stop = 1, lambda: signal.raise_signal(number)
    ended = dragspace(*command)
    assert ended.exit_code == 128 + number
    assert "the same command with --resume goes on" in ended.output
    assert [record["outcome"] for record in records(out).values()] == ["reached", "invalid"]
    assert json.loads((out / "summary.json").read_text())["interrupted"]
    instant.stop_after = None
    assert dragspace(*command, "--resume").exit_code == 0
    assert len(instant.ran) == 2


def test_damaged_results_are_not_trusted(
    tiny_generator: Generator, tmp_path: Path, instant: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    edits = write(tmp_path / "edits.jsonl", *(edit(id=name) for name in "abcdef"))
    out = tmp_path / "out"
    first = batch.run(edits, tiny_generator, out, **HOW)
    expected = results(out)
    (out / "latents" / "a.npz").write_bytes((out / "latents" / "a.npz").read_bytes()[:50])
    (out / "latents" / "b.npz").unlink()
    with np.load(out / "latents" / "c.npz") as arrays:
        np.savez(out / "latents" / "c.npz", **{**arrays, "model": np.asarray("another")})
    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    lines[3] = b"\0" * 40 + b"\n"
    (out / "results.jsonl").write_bytes(b"".join([*lines, lines[4], lines[5]]))
    instant.ran.clear()
    caplog.clear()
    again = batch.run(edits, tiny_generator, out, resume=True, **HOW)
    assert [request.id for request in instant.ran] == ["a", "b", "c", "d"]
    assert results(out) == expected
    assert again.outcomes == {"reached": 6}
    told = caplog.text
    assert "1 lines of " in told
    assert "2 results stood twice" in told
    assert "the latents of 3 finished edits are missing or damaged" in told
    assert (out / "results-unreadable.jsonl").read_bytes() == lines[3]
    job = json.loads((out / "summary.json").read_text())["whole_job"]
    assert (job["runs"], job["edits"], job["steps"]) == (2, 6, 6)
    assert job["seconds"] >= round(first.state.seconds, 3)
    caplog.clear()
    batch.run(edits, tiny_generator, out, resume=True, **HOW)
    assert not caplog.text


def test_an_id_that_stands_twice_is_told(
    tiny_generator: Generator, tmp_path: Path, instant: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    edits = write(tmp_path / "edits.jsonl", edit(id="a"), edit(id="b"), edit(id="a", seed=4), edit(id="a", seed=5))
    summary = batch.run(edits, tiny_generator, tmp_path / "out", **HOW)
    assert summary.outcomes == {"reached": 2, "invalid": 2}
    assert 'the id "a" stands on lines 1, 3, 4; only the first is an edit' in caplog.text
