"""Commands and Python on a BigGAN: what runs, what it writes, and one clear line for what a BigGAN has not."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest
import torch
from PIL import Image

import dragspace_jax as ds
from dragspace_jax.biggan.seeds import seed_to_z
from dragspace_jax.spaces import Z, load_space, save_space
from dragspace_jax.viz.sheets import to_uint8
from tests.parity.compare import nhwc

from .published import package, random_model, settings, write_folder

SETTINGS = settings(16, num_classes=3, n_stats=3)
POINTS = ("--handles", "5,6", "--targets", "8,6")


@pytest.mark.parametrize("truncation", [1.0, 0.4])
def test_seeds_are_those_of_the_package(truncation):
    theirs = package.truncated_noise_sample(batch_size=1, dim_z=6, truncation=truncation, seed=7)
    np.testing.assert_array_equal(seed_to_z(7, 6, truncation), theirs)


def test_generate(dragspace, tiny, tmp_path):
    """The package's images of the same seeds, class and truncation."""
    arguments = ("generate", "--model", tiny, "--psi", 0.7, "--raw", "--out", tmp_path)
    result = dragspace(*arguments, "--seeds", "0-2", "--label", 1)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sheet.png").exists()
    theirs = random_model(SETTINGS)
    for seed, image in zip(range(3), np.load(tmp_path / "images.npy"), strict=True):
        z = torch.as_tensor(package.truncated_noise_sample(batch_size=1, dim_z=6, truncation=0.7, seed=seed))
        with torch.no_grad():
            expected = theirs(z, torch.eye(3)[[1]], 0.7)
        np.testing.assert_allclose(image, nhwc(expected)[0], atol=1e-4)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"seed000{seed}.png")), to_uint8(image))


def test_drag_and_what_it_leaves(dragspace, tiny, tiny_biggan, tmp_path):
    result = dragspace("drag", "--model", tiny, "--seed", 3, "--label", 2, *POINTS, "--steps", 6, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["space"] == {"name": "z"}
    assert record["settings"]["engine"] == "whole"
    assert record["steps"] > 1
    kept, trace = (dict(np.load(tmp_path / name)) for name in ("latents.npz", "trace.npz"))
    start = jax.tree.map(lambda leaf: leaf[0], ds.start_latents(tiny_biggan, [3], psi=0.7, label=2))
    for name, array in start.arrays().items():
        np.testing.assert_array_equal(kept[f"start/{name}"], array)
    assert np.abs(kept["z"] - start.z).max() > 1e-3
    np.testing.assert_array_equal(kept["class_embedding"], start.class_embedding)
    assert trace["latents"].shape == (record["steps"], 6)

    latents = tmp_path / "latents.npz"
    pictures = dragspace("generate", "--model", tiny, "--latents", latents, "--out", tmp_path / "after")
    assert pictures.exit_code == 0, pictures.output
    after, again = (np.asarray(Image.open(tmp_path / name), int) for name in ("after.png", "after/latent0000.png"))
    assert np.abs(after - again).max() <= 1

    more = dragspace("drag", "--model", tiny, "--latents", latents, "--space", "z", *POINTS, "--steps", 6,
                     "--pictures", "none", "--out", tmp_path / "more")  # fmt: skip
    assert more.exit_code == 0, more.output
    np.testing.assert_array_equal(np.load(tmp_path / "more" / "latents.npz")["start/z"], kept["z"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["drag", "--seed", 0, "--label", 0, *POINTS, "--space", "w+"], "a BigGAN has no W, and takes --space z"),
        (["drag", "--seed", 0, "--label", 0, *POINTS, "--space", "pca"], "a BigGAN has no W, and takes --space z"),
        (["drag", "--seed", 0, "--label", 0, *POINTS, "--layers", 3], "--layers belongs to the W of a StyleGAN2"),
        (["drag", "--seed", 0, "--label", 0, *POINTS, "--components", 3], "--components belongs to --space pca"),
        (["drag", "--seed", 0, "--label", 0, *POINTS, "--engine", "window"], "a BigGAN needs 'whole'"),
        (["drag", "--seed", 0, "--label", 0, *POINTS, "--keep-within", 1], "it needs a StyleGAN2"),
        (["drag", "--seed", 0, "--label", 0, *POINTS, "--psi", 1.2], "--psi is 1.2: a BigGAN takes a truncation"),
        (["drag", "--seed", 0, *POINTS], "give one as --label, 0 to 2"),
        (["generate", "--seeds", 0, "--label", 3], "classes 0 to 2"),
        (["generate", "--seeds", 0, "--label", 0, "--psi", 0], "a BigGAN takes a truncation above 0"),
        (["generate", "--latents", "none.npz"], "no such file"),
        (["generate", "--latents", "ws.npz"], "there is no array `z`"),
        (["generate", "--latents", "short.npz"], "values of z have shape (5,); the model takes [6]"),
    ],
)
def test_mistakes(dragspace, tiny, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    np.savez("ws.npz", ws=np.zeros((8, 16)))
    np.savez("short.npz", z=np.zeros(5), class_embedding=np.zeros(6), statistics=np.zeros(3))
    result = dragspace(arguments[0], "--model", tiny, *arguments[1:], "--out", "out")
    assert result.exit_code == 2
    assert says in " ".join(result.output.split()), result.output


def test_commands_for_w(dragspace, tiny, tiny_folder, tmp_path):
    """They say what the model is, and what takes it."""
    (tmp_path / "edits.jsonl").write_text("{}")
    for command in (
        ["fit-pca", "--model", tiny, "--out", tmp_path / "basis.npz"],
        ["batch", tmp_path / "edits.jsonl", "--model", tiny, "--out", tmp_path / "batch"],
        ["align", "--from", tiny_folder, "--to", tiny, "--out", tmp_path / "maps"],
    ):
        result = dragspace(*command)
        assert result.exit_code == 2
        assert "is a BigGAN, and a StyleGAN2 is needed here" in " ".join(result.output.split()), result.output


def test_z_is_of_a_biggan(tiny_generator, dragspace, tiny_folder, tmp_path):
    with pytest.raises(ds.DragspaceError, match="space z moves the z of a BigGAN"):
        Z().check(tiny_generator)
    result = dragspace("drag", "--model", tiny_folder, "--seed", 0, *POINTS, "--space", "z", "--out", tmp_path / "d")
    assert "--space z moves the z of a BigGAN" in " ".join(result.output.split()), result.output
    save_space(Z(), tmp_path / "z.npz")
    assert load_space(tmp_path / "z.npz") == Z()


def test_inspect_and_convert(dragspace, tiny, tmp_path):
    folder = write_folder(tmp_path / "published", random_model(SETTINGS))
    shown = dragspace("inspect", folder)
    assert shown.exit_code == 0, shown.output
    for text in ("pytorch-pretrained-biggan", "BigGAN-deep", "16 px", "3 classes", "before block 3"):
        assert text in shown.output
    facts = [json.loads(dragspace("inspect", each, "--json").output) for each in (folder, tiny)]
    assert [each.pop("kind") for each in facts] == ["checkpoint", "model folder"]
    assert facts[0] == facts[1]
    assert facts[0]["family"] == "biggan"
    made = dragspace("convert", folder, tmp_path / "model")
    assert made.exit_code == 0, made.output
    assert "16 px BigGAN-deep generator, 3 classes, 26,880 parameters" in made.output
    assert "--label 0" in made.output


def test_in_python(tiny_biggan):
    images = ds.generate(tiny_biggan, [1, 2], psi=0.5, label=0)
    latents = ds.start_latents(tiny_biggan, [1, 2], psi=0.5, label=0)
    np.testing.assert_array_equal(images, ds.render(tiny_biggan, latents))
    known = ds.recipe("published", tiny_biggan)
    assert known.space == Z()
    with pytest.raises(ds.DragspaceError, match="the latents of a BigGAN are `BigGANLatents`"):
        ds.drag_one(tiny_biggan, np.zeros((8, 16)), [[5, 5]], [[8, 5]])
