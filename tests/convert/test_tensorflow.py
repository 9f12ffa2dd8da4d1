"""TensorFlow pickles: all protocols, the mapping by formula; what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import dragspace_jax.checkpoint as model_folder
from dragspace_jax.convert import ConvertError, convert, opened
from dragspace_jax.networks.parameters import parameters

from .networks import ours, random_parameters, small_discriminator, small_generator
from .test_nvlabs import assert_same, nested_without_end
from .write_tensorflow import snapshot, write

GENERATORS = {
    "skip": small_generator(),
    "skip-clamp": small_generator(conv_clamp=256.0),
    "resnet": small_generator(architecture="resnet"),
    "orig": small_generator(architecture="orig"),
    "labels": small_generator(c_dim=4, embed_features=5, mapping_features=6),
    "silent": small_generator(use_noise=False),
}
DISCRIMINATORS = {
    "resnet": small_discriminator(),
    "skip-clamp": small_discriminator(architecture="skip", conv_clamp=256.0),
    "orig": small_discriminator(architecture="orig", mbstd_group_size=8),
    "labels": small_discriminator(c_dim=4, mapping_layers=2, mapping_lr_multiplier=0.1),
}


def rounded(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """As TensorFlow's files hold them: style biases less 1, rounded."""
    one = np.float32(1)
    return {n: (v - one) + one if n.endswith("affine.bias") else v for n, v in values.items()}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_round_trip(tmp_path, protocol):
    config, discriminator = small_generator(), small_discriminator()
    source = write(tmp_path / "network.pkl", snapshot(config, discriminator), protocol)
    convert(source, tmp_path / "model", with_discriminator=True)

    card = model_folder.read_card(tmp_path / "model")
    assert card.generator == config
    assert card.discriminator == discriminator
    assert card.source["format"] == "tensorflow"
    found = parameters(model_folder.load(tmp_path / "model"))
    assert_same({n: np.asarray(v) for n, v in found.items()}, rounded(ours(random_parameters(config, 0))))


@pytest.mark.parametrize("name", GENERATORS)
def test_generator_variants(tmp_path, name):
    config = GENERATORS[name]
    source = write(tmp_path / "network.pkl", snapshot(config, small_discriminator()))
    with opened(source) as found:
        assert found.generator.config == config
        assert_same(found.generator.read(), rounded(ours(random_parameters(config, 0))))


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminator_variants(tmp_path, name):
    config = DISCRIMINATORS[name]
    source = write(tmp_path / "network.pkl", snapshot(small_generator(), config))
    with opened(source, with_discriminator=True) as found:
        assert found.discriminator is not None
        assert found.discriminator.config.channels == config.channels
        assert found.discriminator.config.conv_clamp == config.conv_clamp
        assert found.discriminator.config.mbstd_group_size == config.mbstd_group_size
        assert_same(found.discriminator.read(), ours(random_parameters(config, 1)))


def test_a_grown_network_is_orig(tmp_path):
    config = small_generator(architecture="orig")
    with opened(write(tmp_path / "network.pkl", snapshot(config, small_discriminator(), grown=True))) as found:
        assert found.generator.config == config
        assert_same(found.generator.read(), rounded(ours(random_parameters(config, 0))))


def test_upsampling_weights_are_turned_around(tmp_path):
    """By formula: ours[y, x, i, o] of an up-sampling convolution is the file's [2 - y, 2 - x, i, o]."""
    content = snapshot(small_generator(), small_discriminator())
    stored = dict(content[2].state["components"]["synthesis"].state["variables"])
    with opened(write(tmp_path / "network.pkl", content)) as found:
        values = found.generator.read()
    for y in range(3):
        for x in range(3):
            up = values["synthesis.b8.conv0.weight"][y, x]
            np.testing.assert_array_equal(up, stored["8x8/Conv0_up/weight"][2 - y, 2 - x])
            np.testing.assert_array_equal(values["synthesis.b8.conv1.weight"][y, x], stored["8x8/Conv1/weight"][y, x])
    np.testing.assert_array_equal(values["mapping.fc1.weight"], dict_of(content, "mapping")["Dense1/weight"])
    np.testing.assert_array_equal(values["synthesis.b8.conv0.noise_const"], stored["noise1"][0, 0])
    np.testing.assert_array_equal(values["synthesis.b16.conv1.noise_const"], stored["noise4"][0, 0])


def dict_of(content, component):
    return dict(content[2].state["components"][component].state["variables"])


def test_torch_is_not_needed(tmp_path):
    source = write(tmp_path / "network.pkl", snapshot(small_generator(), small_discriminator()))
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from dragspace_jax.convert import convert\n"
        f"convert({str(source)!r}, {str(tmp_path / 'model')!r})"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "model" / "config.json").is_file()


def change(content, component, name, value):
    """Set a variable of Gs, or take it away."""
    network = content[2] if component is None else content[2].state["components"][component]
    variables = [pair for pair in network.state["variables"] if pair[0] != name]
    network.state["variables"] = variables if value is None else [*variables, (name, value)]


def test_a_growing_network_is_refused(tmp_path):
    content = snapshot(small_generator(), small_discriminator())
    change(content, None, "lod", np.float32(1.5))
    with pytest.raises(ConvertError, match="lod is not 0"):
        convert(write(tmp_path / "n.pkl", content), tmp_path / "model")


@pytest.mark.parametrize(
    ("component", "name", "value", "says"),
    [
        ("mapping", "LabelConcat/weight", np.zeros((4, 7), np.float32), "mapping/LabelConcat/weight"),
        ("synthesis", "8x8/Conv1/bias", None, "missing: synthesis.b8.conv1.bias"),
        ("synthesis", "8x8/Conv1/gamma", np.zeros(3, np.float32), "left over: synthesis/8x8/Conv1/gamma"),
        ("synthesis", "32x32/Conv1/bias", np.zeros(3, np.float32), "left over: synthesis/32x32/Conv1/bias"),
        ("synthesis", "8x8/Conv1/bias", np.zeros(3, np.float32), "misshapen: synthesis/8x8/Conv1/bias"),
        ("mapping", "Dense00/weight", np.zeros((7, 9), np.float32), "left over: mapping/Dense00/weight"),
        ("synthesis", "noise00", np.zeros((1, 1, 4, 4), np.float32), "left over: synthesis/noise00"),
        ("synthesis", "08x08/Conv1/bias", np.zeros(10, np.float32), "left over: synthesis/08x08/Conv1/bias"),
        ("synthesis", "ToRGB_lod0/bias", np.zeros(3, np.float32), "both stand for synthesis.b16.torgb.bias"),
        (None, "mapping/Dense0/bias", np.zeros(9, np.float32), "twice: mapping/Dense0/bias"),
        ("synthesis", "noise0", np.zeros(3, np.float32), "noise0 is misshapen"),
        ("synthesis", "8x8/Conv1/bias", np.full(10, np.inf, np.float32), "not finite"),
    ],
)
def test_refused_variables(tmp_path, component, name, value, says):
    content = snapshot(small_generator(), small_discriminator())
    change(content, component, name, value)
    with pytest.raises(ConvertError, match=says):
        convert(write(tmp_path / "n.pkl", content), tmp_path / "model")
    assert [entry.name for entry in tmp_path.iterdir()] == ["n.pkl"]


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("nonlinearity", "relu", "unsupported nonlinearity 'relu'"),
        ("resample_kernel", [1, 2, 1], "unsupported resample filter"),
        ("resample_kernel", [1, 3, 3, 2], "not symmetric"),
        ("resample_kernel", [1, 3, 3, 10**400], "unsupported resample filter"),
        ("resample_kernel", [1] * 10**6, "unsupported resample filter"),
        ("mapping_lrmul", 10**400, "learning rate multiplier"),
        ("normalize_latents", False, "normalize_latents"),
        ("frobnicate", 1, "unknown settings in Gs's static_kwargs: frobnicate"),
        ("fmap_base", 11, "stated are the channels"),
        ("resolution", "16", "resolution"),
        ("mapping_layers", 10**12, "mapping_layers"),
        ("conv_clamp", "much", "conv_clamp"),
        ("architecture", "tower", "architecture"),
        ("architecture", nested_without_end(), "architecture"),
        ("resample_kernel", nested_without_end(), "unsupported resample filter"),
        ("conv_clamp", nested_without_end(), "conv_clamp a list"),
        ("use_noise", nested_without_end(), "use_noise"),
        ("latent_size", nested_without_end(), "z_dim is a list"),
    ],
)
def test_refused_settings(tmp_path, setting, value, says):
    content = snapshot(small_generator(), small_discriminator())
    content[2].state["static_kwargs"][setting] = value
    with pytest.raises(ConvertError, match=says):
        convert(write(tmp_path / "n.pkl", content), tmp_path / "model")


def test_an_older_version_is_refused(tmp_path):
    content = snapshot(small_generator(), small_discriminator())
    content[2].state["version"] = 3
    with pytest.raises(ConvertError, match="version 3"):
        convert(write(tmp_path / "n.pkl", content), tmp_path / "model")
