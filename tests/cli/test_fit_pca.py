"""`dragspace fit-pca`: its files, drags in them, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from dragspace_jax.checkpoint import save_parameters
from dragspace_jax.drag import DragSettings, EditRequest
from dragspace_jax.networks.parameters import fingerprint, parameters
from dragspace_jax.spaces import PCA, Displacement, save_space
from dragspace_jax.spaces.layers import LayerSpace
from dragspace_jax.stylegan2.generator import Generator
from tests.batch.edits import edit, records, write

Run = Callable[..., Result]


def test_it_writes_a_basis_and_its_pictures(
    dragspace: Run, tiny_folder: Path, tiny_generator: Generator, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "basis.npz"
    result = dragspace(
        "fit-pca",
        "--model",
        tiny_folder,
        "--samples",
        5000,
        "--components",
        6,
        "--rows",
        2,
        "--layers",
        3,
        "--out",
        out,
    )
    assert result.exit_code == 0, result.output
    assert "6 principal components of W, " in result.output
    assert "from 5,000 samples" in result.output
    with np.load(out) as arrays:
        assert arrays["mean"].shape == (16,)
        assert arrays["components"].shape == (6, 16)
        np.testing.assert_allclose(arrays["components"] @ arrays["components"].T, np.eye(6), atol=1e-5)
        assert (np.diff(arrays["variance"]) < 0).all()
        assert str(arrays["model"]) == fingerprint(tiny_generator)
        assert arrays["layers"] == 3
    assert {path.name for path in out.parent.iterdir()} == {"basis.npz", "basis.scree.png", "basis.traversal.png"}
    with Image.open(out.with_suffix(".traversal.png")) as sheet:
        assert sheet.width > 9 * 32
        assert 2 * 32 < sheet.height < 3 * 32
    again = dragspace("fit-pca", "--model", tiny_folder, "--samples", 50, "--no-pictures", "--out", out)
    assert again.exit_code == 0, again.output
    assert "16 principal components of W, 100.00% of the variance" in again.output
    assert [path.name for path in out.parent.iterdir()] == ["basis.npz"]


def test_lines_of_a_batch_name_bases(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace
) -> None:
    basis = PCA(mean=jnp.zeros(16), components=jnp.eye(16)[:4], variance=jnp.ones(4), scale=jnp.ones(4), layers=3)
    moves = Displacement(
        components=jnp.eye(32).reshape(32, 2, 16)[:3], variance=jnp.ones(3), scale=jnp.ones(3), layers=2
    )
    save_space(basis, tmp_path / "edits" / "pca.npz")
    save_space(moves, tmp_path / "edits" / "moves.npz")
    edits = write(
        tmp_path / "edits" / "edits.jsonl",
        edit(id="command"),
        edit(id="same", space="pca", components=1),
        edit(id="other", basis="moves.npz", whiten=0.5, momentum=0.5, tolerance=1),
        edit(id="w", space="w"),
        edit(id="missing", basis="pipe.npz"),
        edit(id="nul", basis="a\0b"),
        edit(id="long", basis="n" * 300),
        edit(id="contradiction", basis="pca.npz", space="w"),
        edit(id="many", basis="pca.npz", components=9),
    )
    command = ("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out", "--pictures", "none")
    chosen = ("--recipe", "published", "--basis", tmp_path / "edits" / "pca.npz", "--components", 2, "--stall", 7)
    result = dragspace(*command, *chosen)
    assert result.exit_code == 0, result.output
    ran: dict[str, EditRequest] = {request.id: request for request in instant.ran}
    told = {}
    for name, request in ran.items():
        assert isinstance(request.space, LayerSpace)
        count = len(request.space.components) if isinstance(request.space, PCA | Displacement) else None
        told[name] = (request.space.name, request.space.layers, count)
    assert told == {
        "command": ("pca", 3, 2), "same": ("pca", 3, 1), "other": ("displacement", 2, 2), "w": ("w", 6, None),
    }  # fmt: skip
    settings = {name: request.settings or DragSettings() for name, request in ran.items()}
    assert {each.stall for each in settings.values()} == {7}
    assert (settings["other"].momentum, settings["other"].tolerance) == (0.5, 1.0)
    assert (settings["w"].momentum, settings["w"].learning_rate) == (0.9, 1e-3)
    found = records(tmp_path / "out")
    for name, reason in {
        "missing": "does not exist", "nul": "null", "long": "too long", "contradiction": "basis belongs to",
        "many": "the basis has 4",
    }.items():  # fmt: skip
        assert reason in found[name]["reason"].replace("File name", "name")

    # Another basis under the same name is not gone on with.
    save_space(basis.truncated(3), tmp_path / "edits" / "pca.npz")
    assert "another line, model or option" in dragspace(*command, *chosen, "--resume").output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--samples", 1), "samples is 1; a PCA needs at least 2"),
        (("--samples", 8, "--components", 9), "components is 9; it must be a whole number from 1 to 7 (8 samples"),
        (("--components", 17), "components is 17; it must be a whole number from 1 to 16 (16 dimensions)"),
        (("--components", 0), "components is 0"),
        (("--layers", 9), "layers is 9; the model has 8"),
        (("--label", 1), "no classes"),
        (("--out", "basis.npy"), "must end in .npz"),
        (("--from-drags", "."), "No such option"),
    ],
)
def test_mistakes_are_one_line(
    dragspace: Run,
    tiny_folder: Path,
    tmp_path: Path,
    more: tuple[object, ...],
    message: str,
) -> None:
    result = dragspace("fit-pca", "--model", tiny_folder, "--out", tmp_path / "new" / "basis.npz", *more)
    assert result.exit_code == 2, result.output
    lines = result.output.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "new").exists()


def test_a_model_whose_w_does_not_vary(
    dragspace: Run, tiny_generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {name: np.array(value) for name, value in parameters(tiny_generator).items()}
    values["mapping.fc1.weight"][:, 3:] = 0
    save_parameters(tmp_path / "flat", tiny_generator.config, values, source={"format": "random"})
    command = ("fit-pca", "--model", tmp_path / "flat", "--samples", 100, "--no-pictures", "--out", tmp_path / "b.npz")
    refused = dragspace(*command, "--components", 4)
    assert refused.exit_code == 2
    assert "the covariance is degenerate" in refused.output
    assert "vary in 3 directions only; ask for at most 3 components, not 4" in refused.output
    assert not (tmp_path / "b.npz").exists()
    assert "3 principal components of W, 100.00%" in dragspace(*command).output
