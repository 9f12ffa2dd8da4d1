"""`dragspace align` on models that the predictor does not know: files, scores, errors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from PIL import Image

from dragspace_jax.analysis.align import Alignment
from dragspace_jax.checkpoint import save_parameters
from dragspace_jax.networks.parameters import fingerprint, parameters
from dragspace_jax.spaces import WPlus, fit_pca, save_space
from dragspace_jax.stylegan2.config import GeneratorConfig, channel_table
from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.transfer.latents import sample_w


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another random model of 32 px, whose W is 12 wide."""
    config = GeneratorConfig(resolution=32, channels=channel_table(32, 256, 16), z_dim=16, w_dim=12, mapping_layers=2)
    folder = tmp_path_factory.mktemp("models") / "narrow"
    values = parameters(Generator(config, rngs=nnx.Rngs(3)))
    save_parameters(
        folder, config, {name: np.asarray(value) for name, value in values.items()}, source={"format": "random"}
    )
    return folder


def test_all_maps_between_two_models(dragspace, tiny_folder, tiny_generator, narrow, tmp_path):
    basis = tmp_path / "basis.npz"
    save_space(fit_pca(tiny_generator, samples=500), basis)
    arguments = ("--from", tiny_folder, "--to", narrow, "--samples", 300, "--held-out", 50, "--components", 8)
    result = dragspace("align", *arguments, "--basis-from", basis, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "variance only" in result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "procrustes.npz", "affine.npz", "cca.npz", "scores.json", "sheet.png",
    }  # fmt: skip
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["components"] == [8, 8]
    assert not scores["evaluated"]
    assert 0 < scores["maps"]["affine"]["variance_explained"]["total"] <= 1  # both are smooth maps of one z
    kept = Alignment.load(tmp_path / "out" / "affine.npz")
    kept.source.check(fingerprint(tiny_generator))
    assert kept.apply(sample_w(tiny_generator, 3, 5, None)).shape == (3, 12)
    assert np.asarray(Image.open(tmp_path / "out" / "sheet.png")).std() > 10


def test_a_model_is_itself(dragspace, tiny_folder, tmp_path):
    arguments = ("--from", tiny_folder, "--to", tiny_folder, "--samples", 300, "--held-out", 50)
    (tmp_path / "affine.npz").write_text("of an earlier run")
    result = dragspace("align", *arguments, "--map", "identity", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {"identity.npz", "scores.json", "sheet.png"}
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["maps"]["identity"]["variance_explained"]["total"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", 4], "4 pairs are too few for 12 coordinates"),
        (["--components", 13], "components is 13; it must be a whole number from 1 to 12 (12 dimensions)"),
        (["--map", "identity"], "the identity needs one W of both models; theirs are 16 and 12 wide"),
        (["--components", 8, "--samples", 8], "8 pairs are too few for 8 coordinates; give at least 9"),
        (["--pairs", "attributes"], "needs the predictor, which knows models of critters at 128 px only"),
        (["--basis-from", "{basis}"], "the basis was fitted on another model"),
        (["--basis-from", "{other}"], "holds a space of kind w+; an alignment needs a PCA of W"),
        (["--label", 1], "the model has no classes"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    dragspace, tiny_folder, tiny_generator, narrow, tmp_path, arguments, message
):
    files = {"basis": tmp_path / "basis.npz", "other": tmp_path / "other.npz"}
    save_space(dataclasses.replace(fit_pca(tiny_generator, samples=50), model="another"), files["basis"])
    save_space(WPlus(layers=6), files["other"])
    given = [str(argument).format(**files) for argument in ("--components", 12, "--samples", 20, *arguments)]
    result = dragspace("align", "--from", tiny_folder, "--to", narrow, *given, "--held-out", 5, "--out", tmp_path / "o")
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    assert not (tmp_path / "o" / "scores.json").exists()


def test_models_without_a_common_z_cannot_be_paired_by_it(dragspace, tiny_folder, tmp_path):
    arguments = ("--from", tiny_folder, "--to", "critters-cat", "--out", tmp_path)
    result = dragspace("align", *arguments)
    assert result.exit_code == 2
    assert "take z of 16 and 32 numbers" in result.output
