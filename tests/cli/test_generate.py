"""`dragspace generate`: files, numbers, batches."""

import jax
import numpy as np
import pytest
from PIL import Image

from dragspace_jax.cli.generate import render_batches
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


def test_a_batch_that_is_not_full_gives_the_same_images(tiny_generator):
    ws = np.random.RandomState(2).randn(19, 8, 16).astype(np.float32)
    batches = list(render_batches(tiny_generator, ws))
    assert [len(b) for b in batches] == [16, 3]
    np.testing.assert_allclose(batches[1], np.concatenate(list(render_batches(tiny_generator, ws[16:]))), atol=1e-5)


def test_random_noise_differs_from_image_to_image_and_repeats(tiny_generator):
    ws = np.repeat(np.random.RandomState(3).randn(1, 8, 16).astype(np.float32), 17, axis=0)
    first, again = (list(render_batches(tiny_generator, ws, noise="random")) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    for other in (first[0][1], first[1][0]):  # of the same batch, of the next
        assert np.abs(first[0][0] - other).max() > 1e-3


def test_bfloat16_is_close(tiny_generator):
    ws = np.random.RandomState(4).randn(2, 8, 16).astype(np.float32)
    (exact,), (coarse,) = (list(render_batches(tiny_generator, ws, dtype=d)) for d in ("float32", "bfloat16"))
    assert coarse.dtype == np.float32
    assert 0 < np.abs(exact - coarse).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "3-1"], "runs backwards"),
        (["--seeds", "a"], "neither a number nor a range"),
        ([], "either --seeds or --latents"),
        (["--seeds", "0", "--latents", "x.npy"], "either --seeds or --latents"),
        (["--seeds", "0", "--label", "1"], "no classes"),
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
