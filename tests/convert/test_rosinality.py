"""rosinality files: zip and legacy, with and without latent_avg; what is refused."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import dragspace_jax.checkpoint as model_folder
from dragspace_jax.convert import ConvertError, convert, opened
from dragspace_jax.convert.rosinality import W_AVG_SAMPLES, W_AVG_SEED
from dragspace_jax.networks.parameters import parameters

from .networks import ours, random_parameters, small_generator
from .test_nvlabs import assert_same
from .write_rosinality import content, write

CONFIG = small_generator()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_all_protocols(tmp_path, zipped, protocol):
    arrays = random_parameters(CONFIG)
    source = write(tmp_path / "r.pt", content(CONFIG, arrays, kind="converted"), zipped=zipped, protocol=protocol)
    with opened(source) as found:
        assert found.format == "rosinality"
        assert found.generator.config == CONFIG
        assert_same(found.generator.read(), ours(arrays))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", ["trained", "bare"])
def test_w_avg_is_computed_where_it_is_missing(tmp_path, zipped, kind):
    arrays = random_parameters(CONFIG)
    source = write(tmp_path / "r.pt", content(CONFIG, arrays, kind=kind), zipped=zipped)
    convert(source, tmp_path / "model")

    assert model_folder.read_card(tmp_path / "model").source["w_avg"] == {"samples": 10_000, "seed": 0}
    generator = model_folder.load(tmp_path / "model")
    found = {name: np.asarray(value) for name, value in parameters(generator).items()}
    expected = ours(arrays)
    z = np.random.RandomState(W_AVG_SEED).randn(W_AVG_SAMPLES, CONFIG.z_dim).astype(np.float32)
    expected["mapping.w_avg"] = found["mapping.w_avg"]
    assert_same(found, expected)
    mean = np.asarray(generator.mapping.trunk(jnp.asarray(z), None)).mean(0)
    np.testing.assert_allclose(found["mapping.w_avg"], mean, atol=1e-4 * np.abs(mean).max())


def test_torch_is_not_needed(tmp_path):
    source = write(tmp_path / "r.pt", content(CONFIG, random_parameters(CONFIG), kind="trained"))
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from dragspace_jax.convert import convert\n"
        f"convert({str(source)!r}, {str(tmp_path / 'model')!r})"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "model" / "config.json").is_file()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("zipped", [True, False])
def test_other_number_types_become_float32(tmp_path, kind, zipped):
    value = content(CONFIG, random_parameters(CONFIG), kind="converted")
    value["g_ema"] = {name: tensor.to(kind) for name, tensor in value["g_ema"].items() if "kernel" not in name}
    with opened(write(tmp_path / "r.pt", value, zipped=zipped)) as found:
        values = found.generator.read()
    expected = value["g_ema"]["convs.1.conv.weight"][0].float().numpy()
    np.testing.assert_array_equal(values["synthesis.b8.conv1.weight"], expected.transpose(2, 3, 1, 0))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("convs.1.activate.bias", None, "missing: synthesis.b8.conv1.bias"),
        ("convs.1.gamma", torch.zeros(3), r"left over: convs\.1\.gamma"),
        ("convs.4.activate.bias", torch.zeros(3), "resolution|left over|missing"),
        ("convs.1.activate.bias", torch.zeros(3), r"misshapen: convs\.1\.activate\.bias"),
        ("convs.1.activate.bias", torch.full((10,), torch.nan), "not finite"),
        ("convs.0.conv.blur.kernel", torch.ones(3, 3), "unsupported resample filter"),
        ("convs.0.conv.blur.kernel", torch.ones(4, 4), "resample filter differs"),
        ("convs.1.activate.bias", torch.full((10,), 1e300, dtype=torch.float64), "not finite"),
        ("convs.1.activate.bias", torch.zeros(10, dtype=torch.int32), "holds int32, not floating-point numbers"),
        ("convs.1.activate.bias", "ten", "convs.1.activate.bias is a str, not a tensor"),
        (5, torch.zeros(10), r"a parameter without a name \(5\)"),
        ("style.1.weight", None, "mapping.fc0.weight"),
        ("style.01.weight", torch.zeros(9, 7), r"left over: style\.01\.weight"),
        ("noises.noise_00", torch.zeros(1, 1, 4, 4), r"left over: noises\.noise_00"),
        ("convs.01.activate.bias", torch.zeros(10), r"left over: convs\.01\.activate\.bias"),
    ],
)
def test_refused(tmp_path, name, value, says):
    content_ = content(CONFIG, random_parameters(CONFIG), kind="converted")
    content_["g_ema"].pop(name, None)
    if value is not None:
        content_["g_ema"][name] = value
    with pytest.raises(ConvertError, match=says):
        convert(write(tmp_path / "r.pt", content_), tmp_path / "model")
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.pt"]


@pytest.mark.parametrize(("place", "says"), [("g_ema", r"convs\.1\.x is a NoneType"), (None, "latent_avg is a str")])
def test_no_tensors(tmp_path, place, says):
    content_ = content(CONFIG, random_parameters(CONFIG), kind="converted")
    if place is None:
        content_["latent_avg"] = "mean"
    else:
        content_[place]["convs.1.x"] = None
    with pytest.raises(ConvertError, match=says):
        convert(write(tmp_path / "r.pt", content_), tmp_path / "model")


@pytest.mark.parametrize("zipped", [True, False])
def test_other_torch_files_are_refused(tmp_path, zipped):
    source = write(tmp_path / "r.pt", {"model": torch.nn.Linear(3, 4).state_dict()}, zipped=zipped)
    with pytest.raises(ConvertError, match="no rosinality generator"):
        convert(source, tmp_path / "model")


def test_images_other_than_rgb_are_refused(tmp_path):
    config = small_generator(img_channels=4)
    source = write(tmp_path / "r.pt", content(config, random_parameters(config), kind="converted"))
    with pytest.raises(ConvertError, match="images of 4 channels"):
        convert(source, tmp_path / "model")


def test_a_discriminator_is_not_converted(tmp_path):
    source = write(tmp_path / "r.pt", content(CONFIG, random_parameters(CONFIG), kind="trained"))
    with pytest.raises(ConvertError, match="discriminators of rosinality files"):
        convert(source, tmp_path / "model", with_discriminator=True)


def test_a_compressed_zip_is_refused(tmp_path):
    """A short file could stand for more than the memory holds."""
    plain = write(tmp_path / "r.pt", content(CONFIG, random_parameters(CONFIG), kind="converted"))
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(tmp_path / "c.pt", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with pytest.raises(ConvertError, match="compressed"):
        convert(tmp_path / "c.pt", tmp_path / "model")
