"""A batch on a real Ray cluster of this machine; `scripts/ray_faults.py` kills its workers too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.edits import edit, records, write

pytest.importorskip("ray", reason="Ray is not installed: pip install 'dragspace-jax[ray]'")


def test_two_edits_and_one_that_is_none(tiny_folder: Path, tmp_path: Path) -> None:
    edits = write(tmp_path / "edits.jsonl", edit(id="a"), "{", edit(id="b"))
    command = ("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out", "--on", "ray", "--workers", "1")
    options = ("--recipe", "published", "--steps", "3", "--lanes", "1", "--mirror", tmp_path / "mirror")
    root = str(Path(__file__).parent.parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "dragspace_jax.cli", *command, *options], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {name: record["outcome"] for name, record in records(tmp_path / "out").items()} == {
        "a": "step limit", "line-000002": "invalid", "b": "step limit"
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "out" / "images").iterdir()} == {"a.png", "b.png"}
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["this_run"]["workers"] == 1
    assert len(list((tmp_path / "mirror").iterdir())) == 1
