"""`dragspace edit`: its files, edits that go on, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from dragspace_jax.cli.edit_inputs import parse_within
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.stylegan2.generator import Generator

Run = Callable[..., Result]


@pytest.fixture
def boundary(tmp_path: Path) -> Path:
    rows = np.random.RandomState(1).standard_normal((2, 16))
    np.save(tmp_path / "boundary.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return tmp_path / "boundary.npy"


def test_an_edit_and_what_goes_on_from_it(
    dragspace: Run, tiny_folder: Path, tiny_generator: Generator, boundary: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = ("edit", "--model", tiny_folder, "--seed", 1, "--direction", f"{boundary}:1=2", "--out", out)
    result = dragspace(*first)
    assert result.exit_code == 0, result.output
    assert "mean squared change" in result.output
    assert {p.name for p in out.iterdir()} == {"before.png", "after.png", "change.png", "sheet.png", "latents.npz"}
    with np.load(out / "latents.npz") as stored:
        step = stored["ws"] - stored["start"]
        np.testing.assert_allclose(step[4:], np.broadcast_to(2 * np.load(boundary)[1], (4, 16)), atol=1e-5)
        assert not step[:4].any()
        assert str(stored["model"]) == fingerprint(tiny_generator)
    assert "--overwrite" in dragspace(*first).output

    again = dragspace(
        "edit", "--model", tiny_folder, "--latents", out / "latents.npz", "--channel", "6:3=5", "--out",
        tmp_path / "next",
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    with np.load(tmp_path / "next" / "latents.npz") as stored:
        assert np.count_nonzero(stored["styles/b16.conv1"]) == 1
    shown = dragspace(
        "generate", "--model", tiny_folder, "--latents", tmp_path / "next" / "latents.npz", "--out", tmp_path / "shown"
    )
    assert shown.exit_code == 0, shown.output
    difference = _picture(tmp_path / "shown" / "latent0000.png") - _picture(tmp_path / "next" / "after.png")
    assert np.abs(difference).max() <= 1
    assert (_picture(tmp_path / "next" / "after.png") != _picture(out / "after.png")).any()


def test_a_sheet_of_positions(dragspace: Run, tiny_folder: Path, boundary: Path, tmp_path: Path) -> None:
    """A row each; what has a value comes first."""
    result = dragspace(
        "edit", "--model", tiny_folder, "--seed", 1, "--direction", f"{boundary}:0", "--channel", "b16.conv1:3",
        "--channel", "b8.conv0:1=2", "--positions", "-1:1:3", "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "out" / "latents.npz") as stored:
        assert stored["ws"].shape == (6, 8, 16)
        assert (stored["styles/b8.conv0"][:, 1] != 0).all()
        np.testing.assert_array_equal(stored["styles/b16.conv1"][[0, 1, 2, 4], 3], 0)
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.width > 4 * 32
    alone = dragspace(
        "edit", "--model", tiny_folder, "--seed", 1, "--direction", f"{boundary}:0=1", "--out", tmp_path / "one.png"
    )
    assert alone.exit_code == 0, alone.output
    assert _picture(tmp_path / "one.png").shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give --direction or --channel"),
        (("--direction", "F"), "is not like F:K"),
        (("--direction", "F:0=nan"), "'nan' is not a finite number"),
        (("--direction", "missing.npz:0=1"), "--direction missing.npz: no such file"),
        (("--direction", "{boundary}:2=1"), "2 directions, 0 to 1"),
        (("--direction", "{boundary}:0=1", "--image", "0"), "leave --image out"),
        (("--direction", "{boundary}:0=1", "--on-layers", "4-9"), "--on-layers is 4-9; the model has layers 0 to 7"),
        (("--direction", "{boundary}:0=1", "--on-layers", "all"), "a range such as 4-7"),
        (("--direction", "{boundary}:0", "--positions", "-4:4"), "--positions '-4:4' is not like -4:4:7"),
        (("--direction", "{boundary}:0=1", "--within", "0,0,40,4"), "is not within the image's"),
        (("--channel", "b16.conv1=3"), "is not like LAYER:INDEX"),
        (("--channel", "b64.conv1:0=3"), "--channel b64.conv1:0: the model has no layer"),
        (("--channel", "6:3=1", "--within", "eye"), "--within and --on-layers need --direction"),
        (("--channel", "6:3=1", "--segments", "labels.png"), "--segments needs --within"),
    ],
)
def test_bad_input_is_one_line(
    dragspace: Run, tiny_folder: Path, boundary: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    given = [each.format(boundary=boundary) for each in arguments]
    result = dragspace("edit", "--model", tiny_folder, "--seed", 1, *given, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert says in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_region_is_a_box_a_picture_or_names() -> None:
    assert parse_within("1,2,3,4", None).region == (1.0, 2.0, 3.0, 4.0)
    assert parse_within("eye,mouth", None).segment == ("eye", "mouth")
    assert parse_within("masks/eye.png", None).region == "masks/eye.png"
    assert parse_within("1,2,3,4", "labels.png").segment == ("1", "2", "3", "4")


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)
