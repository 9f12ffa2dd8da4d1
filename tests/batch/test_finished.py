"""Finished drags read back from the folders of batches and of single drags."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dragspace_jax.batch import read_finished_drags
from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.stylegan2.generator import Generator
from tests.batch.edits import write

LAYERS = 6


@pytest.fixture(scope="module")
def drags(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Generator) -> Path:
    """A batch's folder: four drags that reached their targets, each another way, one that did not, one invalid."""
    out = tmp_path_factory.mktemp("drags") / "out"
    (out / "latents").mkdir(parents=True)
    random, lines = np.random.RandomState(0), []
    for number, outcome in enumerate(["reached"] * 4 + ["step limit", "invalid"]):
        record = {"id": str(number), "line": number, "digest": "", "outcome": outcome}
        if outcome != "invalid":
            start = random.randn(8, 16).astype(np.float32)
            end = start.copy()
            end[:LAYERS] += random.randn(LAYERS, 16)
            model = np.asarray(fingerprint(tiny_generator))
            np.savez(out / "latents" / f"{number}.npz", ws=end, start=start, model=model)
            record |= {"latents": f"latents/{number}.npz", "handles_xy": [[1, 1]]}
        lines.append(record)
    write(out / "results.jsonl", *lines)
    return out


def test_where_drags_began_and_ended(drags: Path, tiny_generator: Generator, tmp_path: Path) -> None:
    """The batch's folder, and with it that of one drag."""
    (tmp_path / "result.json").write_text(json.dumps({"outcome": "reached"}))
    shutil.copy(drags / "latents" / "4.npz", tmp_path / "latents.npz")
    finished = read_finished_drags([drags, tmp_path], tiny_generator)
    assert finished.starts.shape == finished.ends.shape == (5, 8, 16)
    assert finished.moved_layers == LAYERS
    assert finished.told() == "5 of 7 drags reached their targets (1 invalid, 5 reached, 1 step limit)"
    with np.load(drags / "latents" / "0.npz") as arrays:
        np.testing.assert_array_equal(finished.ends[0], arrays["ws"])


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (".", "no results.jsonl of dragspace batch"),
        ("old", "no array `model`; it has ws; a drag of this version says where it began"),
        ("other", "the drag was of another model"),
        ("gone", "no such file, though its drag reached"),
        ("torn", "not the result of a drag"),
    ],
)
def test_folders_of_something_else(tiny_generator: Generator, tmp_path: Path, folder: str, message: str) -> None:
    for name in ("old", "other", "gone", "torn"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text("{" if name == "torn" else json.dumps({"outcome": "reached"}))
    np.savez(tmp_path / "old" / "latents.npz", ws=np.zeros((8, 16), np.float32))
    np.savez(tmp_path / "other" / "latents.npz", ws=np.zeros((8, 16), np.float32), model=np.asarray("another"))
    with pytest.raises(DragspaceError) as caught:
        read_finished_drags([tmp_path / folder], tiny_generator)
    assert message in str(caught.value)
