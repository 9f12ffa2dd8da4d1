"""Folders of pytorch-pretrained-biggan: what is read of them, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from dragspace_jax.checkpoint import load, load_model, read_card
from dragspace_jax.convert import ConvertError, convert, opened
from dragspace_jax.convert.biggan import biggan_shapes
from dragspace_jax.networks.parameters import parameters

from .published import random_model, settings, write_folder

SMALL = settings(16, num_classes=3, n_stats=3)
NAME = "generator.layers.1.conv_2"


@pytest.fixture(scope="module")
def theirs():
    return random_model(SMALL)


def test_names_and_shapes(tiny_biggan):
    """The table that files are checked by is the network's own."""
    shapes = {name: value.shape for name, value in parameters(tiny_biggan).items()}
    assert shapes == biggan_shapes(tiny_biggan.config)


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_those_of_the_last_pass(tmp_path, theirs, tiny_biggan, zipped):
    with opened(write_folder(tmp_path / "published", theirs, zipped=zipped)) as found:
        assert found.format == "pytorch-pretrained-biggan"
        values = found.generator.read()
    convolution = theirs.generator.layers[1].conv_2.weight.detach().numpy()
    np.testing.assert_allclose(values[f"{NAME}.weight"], np.moveaxis(convolution, (0, 1), (3, 2)), rtol=1e-5)
    for name, value in parameters(tiny_biggan).items():
        np.testing.assert_array_equal(values[name], value)


def test_files_of_older_versions(tmp_path, theirs):
    """They have the folded weight in place of v."""
    state = {name: value for name, value in theirs.state_dict().items() if not name.endswith("weight_v")}
    state |= {
        f"{name}.weight": module.weight.detach()
        for name, module in theirs.named_modules()
        if hasattr(module, "weight_orig")
    }
    with opened(write_folder(tmp_path / "published", theirs, state)) as found:
        values = found.generator.read()
    expected = np.moveaxis(theirs.generator.layers[1].conv_2.weight.detach().numpy(), (0, 1), (3, 2))
    np.testing.assert_allclose(values[f"{NAME}.weight"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (f"{NAME}.bias", None, rf"missing: {NAME}\.bias"),
        (f"{NAME}.weight_orig", None, rf"missing: {NAME}\.weight"),
        (f"{NAME}.weight_v", None, rf"{NAME}\.weight_v is missing"),
        (f"{NAME}.weight_u", torch.zeros(3), "do not fit it"),
        (f"{NAME}.weight_u", torch.zeros(8), "spectral norm is 0.0"),
        (f"{NAME}.bias", torch.zeros(3), "misshapen"),
        (f"{NAME}.bias", torch.full((8,), torch.nan), "not finite"),
        ("generator.layers.9.gamma", torch.zeros(1), r"left over: generator\.layers\.9\.gamma"),
        (f"{NAME}.gain.weight_u", torch.zeros(1), "left over"),
        ("step", 7, "holds 'step'"),
    ],
)
def test_refused(tmp_path, theirs, name, value, says):
    state = dict(theirs.state_dict())
    state.pop(name, None)
    if value is not None:
        state[name] = value
    with pytest.raises(ConvertError, match=says):
        convert(write_folder(tmp_path / "published", theirs, state), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hierarchical": True}, "unknown settings in config.json: hierarchical"),
        ({"output_dim": 32}, "layers lead to 16 px"),
        ({"layers": [[True, 16, 4]]}, "keep or halve"),
        ({"layers": [[True, 16, 8]]}, "must end with the width itself"),
        ({"layers": "deep"}, "layers is 'deep'"),
        ({"n_stats": 1}, "n_stats is 1"),
        ({"eps": "small"}, "eps is 'small'"),
        ({"num_classes": 4}, "misshapen: embeddings.weight"),
    ],
)
def test_settings_are_refused(tmp_path, theirs, changes, says):
    folder = write_folder(tmp_path / "published", theirs)
    (folder / "config.json").write_text(json.dumps({**SMALL, **changes}))
    with pytest.raises(ConvertError, match=says):
        convert(folder, tmp_path / "model")


@pytest.mark.parametrize(("fourth", "kind"), [(True, "BigGAN-deep"), (False, "BigGAN")])
def test_other_layouts_are_refused_by_name(tmp_path, fourth, kind):
    names = ["shared.weight", "linear.weight", "blocks.0.0.conv1.weight", *(["blocks.0.0.conv4.weight"] * fourth)]
    torch.save({name: torch.zeros(2, 2) for name in names}, tmp_path / "G_ema.pth")
    with pytest.raises(ConvertError, match=f"a {kind} of the program BigGAN-PyTorch"):
        convert(tmp_path / "G_ema.pth", tmp_path / "model")


def test_weights_without_their_settings(tmp_path, theirs):
    folder = write_folder(tmp_path / "published", theirs)
    with pytest.raises(ConvertError, match="give the folder"):
        convert(folder / "pytorch_model.bin", tmp_path / "model")
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ConvertError, match=r"pytorch_model\.bin: no such file"):
        convert(folder, tmp_path / "model")


def test_folders(tiny, tiny_biggan):
    """A model folder knows its family; `load` wants the other one."""
    assert read_card(tiny).generator == tiny_biggan.config
    assert json.loads((tiny / "config.json").read_text())["family"] == "biggan"
    for name, value in parameters(load_model(tiny)).items():
        np.testing.assert_array_equal(value, parameters(tiny_biggan)[name])
    with pytest.raises(ValueError, match="is a BigGAN, and a StyleGAN2 is needed"):
        load(tiny)
