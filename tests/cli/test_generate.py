"""`dragspace generate`: files, numbers, errors."""

import importlib

import jax
import numpy as np
import pytest
from PIL import Image

from dragspace_jax.viz.sheets import to_uint8


def test_seeds_give_pictures_raw_images_and_a_sheet(dragspace, tiny_folder, tiny_generator, tmp_path):
    result = dragspace("generate", "--model", tiny_folder, "--seeds", "0-1,7", "--raw", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert {p.name for p in tmp_path.iterdir()} == {
        "seed0000.png", "seed0001.png", "seed0007.png", "sheet.png", "images.npy",
    }  # fmt: skip
    raw = np.load(tmp_path / "images.npy")
    assert raw.shape == (3, 32, 32, 3)
    assert raw.dtype == np.float32
    z = np.random.RandomState(7).randn(1, 16).astype(np.float32)
    expected = jax.jit(lambda model, z: model(z, psi=0.7))(tiny_generator, z)
    np.testing.assert_allclose(raw[2], expected[0], atol=1e-4)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "seed0007.png")), to_uint8(raw[2]))


def test_latents_are_rendered_as_they_are(dragspace, tiny_folder, tiny_generator, tmp_path):
    ws = np.random.RandomState(1).randn(2, 8, 16).astype(np.float32)
    np.savez(tmp_path / "ws.npz", ws=ws)
    out = tmp_path / "out"
    arguments = ("generate", "--model", tiny_folder, "--latents", tmp_path / "ws.npz", "--raw", "--noise", "none")
    result = dragspace(*arguments, "--out", out)
    assert result.exit_code == 0, result.output
    assert (out / "latent0001.png").exists()
    expected = jax.jit(lambda model, ws: model.synthesis(ws, noise="none").image)(tiny_generator, ws)
    np.testing.assert_allclose(np.load(out / "images.npy"), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "3-1"], "runs backwards"),
        (["--seeds", "a"], "neither a number nor a range"),
        ([], "either --seeds or --latents"),
        (["--seeds", "0", "--latents", "x.npy"], "either --seeds or --latents"),
        (["--seeds", "0", "--label", "1"], "no classes"),
        (["--seeds", "0", "--psi", "nan"], "a finite number is needed"),
        (["--latents", "missing.npy"], "no such file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(dragspace, tiny_folder, tmp_path, arguments, message):
    out = tmp_path / "out"
    result = dragspace("generate", "--model", tiny_folder, *arguments, "--out", out)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    assert not out.exists()


def test_an_interrupted_run_leaves_no_raw_images(dragspace, tiny_folder, tmp_path, monkeypatch):
    def render_one_and_stop(*_, **__):
        yield np.zeros((1, 32, 32, 3), np.float32)
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("dragspace_jax.cli.generate"), "render_batches", render_one_and_stop)
    result = dragspace("generate", "--model", tiny_folder, "--seeds", "0-1", "--raw", "--out", tmp_path)
    assert result.exit_code == 1
    assert {p.name for p in tmp_path.iterdir()} == {"seed0000.png"}


def test_a_place_that_cannot_be_written_is_told_before_the_work(dragspace, tiny_folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    module = importlib.import_module("dragspace_jax.cli.generate")
    monkeypatch.setattr(module, "start_latents", lambda *_, **__: pytest.fail("worked first"))
    out = tmp_path / "file" / "out"
    result = dragspace("generate", "--model", tiny_folder, "--seeds", "0", "--out", out)
    assert result.exit_code == 2
    assert str(out) in result.output
    assert result.output.count("\n") == 1
