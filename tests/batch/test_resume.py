"""`dragspace batch` in a folder that has something already: going on, beginning anew, and what is refused."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from tests.batch.edits import edit, records, write

Run = Callable[..., Result]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_ctrl_c_and_resume(dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace) -> None:
    edits = write(tmp_path / "edits.jsonl", edit(id="a"), "{", edit(id="b"), edit(id="A"), edit(id="c", lr="1"))
    out = tmp_path / "out"
    command = ["batch", edits, "--model", tiny_folder, "--out", out]
    instant.stop_after = 2
    stopped = dragspace(*command)
    assert stopped.exit_code == 130
    assert "--resume goes on" in stopped.output
    assert {name for name, record in records(out).items() if record["outcome"] == "reached"} == {"a", "b"}
    assert {path.name for path in (out / "images").iterdir()} == {"a.png", "b.png"}
    assert json.loads((out / "summary.json").read_text())["interrupted"]

    # As if the power had failed: the last line is torn, a picture is not there yet. A line has been mended.
    with (out / "results.jsonl").open("ab") as file:
        file.write(b'{"id": "A", "li')
    (out / "images" / "b.png").unlink()
    write(edits, edit(id="a"), "{", edit(id="b"), edit(id="A"), edit(id="c"))
    instant.ran.clear()
    instant.stop_after = None
    resumed = dragspace(*command, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert [request.id for request in instant.ran] == ["A", "c"]
    assert "5 edits: 1 invalid, 4 reached" in resumed.output
    assert records(out)["A"]["image"] == "images/A-4.png"
    assert len({record["digest"] for record in records(out).values()}) == 5
    assert {path.name for path in (out / "images").iterdir()} == {"a.png", "A-4.png", "b.png", "c.png"}

    instant.ran.clear()
    (out / "images" / "of-the-user.png").touch()
    anew = dragspace(*command, "--overwrite", "--pictures", "none")
    assert anew.exit_code == 0, anew.output
    assert len(instant.ran) == 4
    assert [path.name for path in (out / "images").iterdir()] == ["of-the-user.png"]


def test_results_are_told_before_the_model_is_read(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["batch", write(tmp_path / "edits.jsonl", edit()), "--model", tiny_folder, "--out", tmp_path / "out"]
    assert dragspace(*command).exit_code == 0
    monkeypatch.setattr(
        importlib.import_module("dragspace_jax.batch.runner"), "load", lambda _: pytest.fail("it is read")
    )
    refused = dragspace(*command)
    assert refused.exit_code == 2
    assert "--resume goes on with it, --overwrite begins anew" in refused.output


@pytest.mark.parametrize(
    ("lines", "more", "named"),
    [
        ([edit(), edit(seed=5)], (), "line-000002"),
        ([edit(), edit(seed=4, handles="bad")], (), "line-000002"),
        ([edit()], (), "line-000002"),
        ([edit(), edit(seed=4)], ("--steps", 7), "line-000001"),
        ([edit(), edit(seed=4)], ("--psi", 1), "line-000001"),
    ],
)
def test_another_batch_does_not_go_on(
    dragspace: Run,
    tiny_folder: Path,
    tmp_path: Path,
    instant: SimpleNamespace,
    lines: list[dict[str, Any]],
    more: tuple[object, ...],
    named: str,
) -> None:
    edits, out = write(tmp_path / "edits.jsonl", edit(), edit(seed=4)), tmp_path / "out"
    command = ["batch", edits, "--model", tiny_folder, "--out", out, "--pictures", "none"]
    assert dragspace(*command).exit_code == 0
    before = everything(out)
    write(edits, *lines)
    refused = dragspace(*command, *more, "--resume")
    assert refused.exit_code == 2
    assert f'the edit "{named}"' in refused.output
    assert "--overwrite" in refused.output
    assert everything(out) == before
    assert len(instant.ran) == 2
    anew = dragspace(*command, *more, "--overwrite")
    assert anew.exit_code == 0, anew.output


def test_results_without_a_digest_are_anothers(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace
) -> None:
    edits, out = write(tmp_path / "edits.jsonl", edit(id="a")), tmp_path / "out"
    command = ["batch", edits, "--model", tiny_folder, "--out", out, "--pictures", "none"]
    assert dragspace(*command).exit_code == 0
    record = records(out)["a"]
    del record["digest"]
    write(out / "results.jsonl", record)
    refused = dragspace(*command, "--resume")
    assert refused.exit_code == 2
    assert 'the edit "a" ended with another line' in refused.output


@pytest.mark.parametrize(("pictures", "made"), [("after", {"a.png", "b.png"}), ("pair", {"b.png"})])
def test_a_picture_that_cannot_be_made_any_more_stops_nothing(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace, pictures: str, made: set[str]
) -> None:
    np.save(tmp_path / "start.npy", np.zeros((8, 16), np.float32))
    edits = write(tmp_path / "edits.jsonl", edit(id="a", seed=None, latents="start.npy"), edit(id="b"))
    out = tmp_path / "out"
    command = ["batch", edits, "--model", tiny_folder, "--out", out, "--pictures", pictures]
    instant.stop_after = 1
    assert dragspace(*command).exit_code == 130
    (out / "images" / "a.png").unlink()
    (tmp_path / "start.npy").unlink()
    instant.stop_after = None
    resumed = dragspace(*command, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert {path.name for path in (out / "images").iterdir()} == made
    warnings = [line for line in resumed.output.splitlines() if "cannot be made any more" in line]
    assert len(warnings) == ("a.png" not in made)


@pytest.mark.parametrize(
    "content",
    [
        "hello\n",
        "hello",
        '{"id": "a"}\n',
        '{"id": "a", "outcome": "x", "handles_xy": [], "latents": "../../a.npz"}\n',
        None,
    ],
)
def test_a_folder_of_something_else_is_refused(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, content: str | None
) -> None:
    edits = write(tmp_path / "edits.jsonl", edit())
    (tmp_path / "summary.json").write_text("of something else")
    if content is not None:
        (tmp_path / "results.jsonl").write_text(content)
    before = everything(tmp_path)
    result = dragspace("batch", edits, "--model", tiny_folder, "--out", tmp_path, "--overwrite")
    assert result.exit_code == 2
    reason = "would be lost" if content is None else "line 1: not a result of a batch"
    assert reason in result.output
    assert everything(tmp_path) == before
