"""NVlabs pickles: all protocols, both repositories, all architectures; what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch.storage import _load_from_bytes

import dragspace_jax.checkpoint as model_folder
from dragspace_jax.convert import ConvertError, convert, opened
from dragspace_jax.networks.parameters import parameters

from .networks import ours, random_parameters, small_discriminator, small_generator
from .write_nvlabs import Module, snapshot, write

GENERATORS = {
    "skip": small_generator(),
    "skip-clamp": small_generator(conv_clamp=256.0),
    "resnet": small_generator(architecture="resnet", conv_clamp=4.0),
    "orig": small_generator(architecture="orig"),
    "labels": small_generator(c_dim=4, embed_features=5, mapping_features=6),
    "silent": small_generator(use_noise=False),
    "multiplier": small_generator(mapping_lr_multiplier=0.1, resample_filter=(1.0, 2.0, 2.0, 1.0)),
}
DISCRIMINATORS = {
    "resnet": small_discriminator(),
    "skip-clamp": small_discriminator(architecture="skip", conv_clamp=256.0),
    "orig": small_discriminator(architecture="orig", mbstd_num_channels=2, mbstd_group_size=8),
    "filter": small_discriminator(resample_filter=(1.0, 2.5, 2.5, 1.0)),
    "labels": small_discriminator(c_dim=4, cmap_dim=5, mapping_layers=2, embed_features=6),
}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("repository", ["ada", "stylegan3"])
def test_round_trip(tmp_path, protocol, repository):
    config, discriminator = small_generator(), small_discriminator()
    source = write(tmp_path / "snapshot.pkl", snapshot(config, discriminator, repository), protocol)
    convert(source, tmp_path / "model", with_discriminator=True)

    card = model_folder.read_card(tmp_path / "model")
    assert card.generator == config
    assert card.discriminator == discriminator
    assert card.source["format"] == "nvlabs-pytorch"
    assert len(card.source["sha256"]) == 64
    generator = model_folder.load(tmp_path / "model")
    assert_same({n: np.asarray(v) for n, v in parameters(generator).items()}, ours(random_parameters(config, 0)))
    found = parameters(model_folder.load_discriminator(tmp_path / "model"))
    assert_same({n: np.asarray(v) for n, v in found.items()}, ours(random_parameters(discriminator, 1)))


@pytest.mark.parametrize("name", GENERATORS)
def test_generator_variants(tmp_path, name):
    config = GENERATORS[name]
    source = write(tmp_path / "snapshot.pkl", snapshot(config, small_discriminator()))
    with opened(source) as found:
        assert found.generator.config == config
        assert found.discriminator is None
        assert_same(found.generator.read(), ours(random_parameters(config, 0)))


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminator_variants(tmp_path, name):
    config = DISCRIMINATORS[name]
    source = write(tmp_path / "snapshot.pkl", snapshot(small_generator(), config))
    with opened(source, with_discriminator=True) as found:
        assert found.discriminator is not None
        assert found.discriminator.config == config
        assert_same(found.discriminator.read(), ours(random_parameters(config, 1)))


def test_a_frozen_discriminator_has_its_weights_as_buffers(tmp_path):
    content = snapshot(small_generator(), small_discriminator())
    layer = content["D"].at("b16.fromrgb")
    layer.buffers.update({name: value.detach() for name, value in layer.parameters.items()})
    layer.parameters.clear()
    with opened(write(tmp_path / "s.pkl", content), with_discriminator=True) as found:
        assert found.discriminator is not None
        assert_same(found.discriminator.read(), ours(random_parameters(small_discriminator(), 1)))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_types_become_float32(tmp_path, kind):
    content = snapshot(small_generator(), small_discriminator())
    weight = content["G_ema"].at("synthesis.b8.conv0").parameters["weight"]
    content["G_ema"].at("synthesis.b8.conv0").parameters["weight"] = torch.nn.Parameter(weight.detach().to(kind))
    with opened(write(tmp_path / "s.pkl", content)) as found:
        values = found.generator.read()["synthesis.b8.conv0.weight"]
    expected = weight.detach().to(kind).float().numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(values, expected)


def test_views_and_shared_storages_are_read(tmp_path):
    content = snapshot(small_generator(), small_discriminator())
    affine = content["G_ema"].at("synthesis.b8.conv0.affine")
    both = torch.randn(9, 30)
    affine.parameters["weight"] = torch.nn.Parameter(both[:, 3:23:2].T)
    with opened(write(tmp_path / "s.pkl", content)) as found:
        np.testing.assert_array_equal(found.generator.read()["synthesis.b8.conv0.affine.weight"], both[:, 3:23:2])


def test_the_stride_of_an_axis_of_length_1_says_nothing(tmp_path):
    content = snapshot(small_generator(), small_discriminator())
    weight = content["G_ema"].at("synthesis.b8.torgb").parameters["weight"]  # [3, 10, 1, 1]
    odd = torch.as_strided(weight.detach(), weight.shape, (10, 1, 2**39, 2**39))
    content["G_ema"].at("synthesis.b8.torgb").parameters["weight"] = torch.nn.Parameter(odd)
    with opened(write(tmp_path / "s.pkl", content)) as found:
        assert_same(found.generator.read(), ours(random_parameters(small_generator(), 0)))


def nested_otherwise(monkeypatch, change):
    """Storages pickled as other torch files than torch nests."""
    monkeypatch.setattr(torch.storage.TypedStorage, "__reduce__", lambda self: (_load_from_bytes, (change(self),)))


def zip_form(storage) -> bytes:
    buffer = io.BytesIO()
    torch.save(storage, buffer)
    return buffer.getvalue()


def legacy_form(storage) -> bytes:
    buffer = io.BytesIO()
    torch.save(storage, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (zip_form, "zip form"),
        (lambda storage: legacy_form(storage) + bytes(64), "goes on after its end"),
        (lambda storage: legacy_form([storage]), "something else than a storage"),
    ],
)
def test_storages_nested_in_another_way_are_refused(tmp_path, monkeypatch, change, says):
    """Their numbers lie elsewhere than where torch puts them."""
    content = snapshot(small_generator(), small_discriminator())
    nested_otherwise(monkeypatch, change)
    source = write(tmp_path / "s.pkl", content)
    with pytest.raises(ConvertError, match=says):
        convert(source, tmp_path / "model")


def test_source_in_the_file_is_not_run(tmp_path):
    content = snapshot(small_generator(), small_discriminator())
    content["G_ema"].module_src = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    convert(write(tmp_path / "s.pkl", content), tmp_path / "model")
    assert not (tmp_path / "ran").exists()


def tamper_missing(root: Module) -> None:
    del root.at("synthesis.b8.conv1").parameters["bias"]


def tamper_extra(root: Module) -> None:
    root.at("synthesis.b8.conv1").parameters["gamma"] = torch.nn.Parameter(torch.zeros(3))


def tamper_twice(root: Module) -> None:
    layer = root.at("synthesis.b8.conv1")
    layer.buffers["bias"] = torch.zeros_like(layer.parameters["bias"])


def tamper_dotted(root: Module) -> None:
    root.modules["mapping.fc0"] = Module("FullyConnectedLayer")


def tamper_misshapen(root: Module) -> None:
    root.at("synthesis.b8.conv1").parameters["bias"] = torch.nn.Parameter(torch.zeros(3))


def tamper_infinite(root: Module) -> None:
    root.at("synthesis.b8.conv1").parameters["bias"] = torch.nn.Parameter(torch.full((10,), torch.nan))


def tamper_filter(root: Module) -> None:
    root.at("synthesis.b8").buffers["resample_filter"] = torch.ones(12, 12)


def tamper_one_filter(root: Module) -> None:
    root.at("synthesis.b8").buffers["resample_filter"] = torch.ones(4, 4) / 16


def tamper_activation(root: Module) -> None:
    root.at("synthesis.b8.conv1").attributes["activation"] = "swish"


def tamper_clamp(root: Module) -> None:
    root.at("synthesis.b8.conv1").attributes["conv_clamp"] = 3.0


def tamper_arguments(root: Module) -> None:
    root.attributes["_init_kwargs"]["synthesis_kwargs"]["conv_clamp"] = 3.0


def tamper_stylegan3(root: Module) -> None:
    root.at("synthesis").child("input").buffers["freqs"] = torch.zeros(3, 2)


def tamper_resolution(root: Module) -> None:
    root.at("synthesis").attributes["img_resolution"] = 24


def tamper_layers(root: Module) -> None:
    root.at("mapping").attributes["num_layers"] = 10**12


def nested_without_end() -> list:
    """Shared lists: a hundred in the file, 10^100 when written out."""
    value: list = []
    for _ in range(100):
        value = [value] * 10
    return value


def tamper_bomb(root: Module) -> None:
    for path in ("synthesis.b8.conv0", "synthesis.b8.conv1"):
        root.at(path).attributes["conv_clamp"] = nested_without_end()


def tamper_bomb_resolution(root: Module) -> None:
    root.at("synthesis").attributes["img_resolution"] = nested_without_end()


def tamper_bomb_argument(root: Module) -> None:
    root.attributes["_init_kwargs"]["z_dim"] = nested_without_end()


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (tamper_missing, "missing: synthesis.b8.conv1.bias"),
        (tamper_extra, "left over: synthesis.b8.conv1.gamma"),
        (tamper_twice, "synthesis.b8.conv1.bias is there twice"),
        (tamper_dotted, "two modules have the path mapping.fc0"),
        (tamper_misshapen, r"misshapen: synthesis.b8.conv1.bias .* \[3\], the architecture has \[10\]"),
        (tamper_infinite, "synthesis.b8.conv1.bias holds values that are not finite"),
        (tamper_filter, "unsupported resample filter at synthesis.b8.resample_filter"),
        (tamper_one_filter, "the resample filter differs"),
        (tamper_activation, "unsupported activation 'swish' in synthesis.b8.conv1"),
        (tamper_clamp, "conv_clamp differs between layers"),
        (tamper_arguments, "conv_clamp=3.0"),
        (tamper_stylegan3, "StyleGAN3"),
        (tamper_resolution, "the resolution is 24"),
        (tamper_bomb, "conv_clamp is a list in synthesis.b8.conv0"),
        (tamper_bomb_resolution, "the resolution is a list"),
        (tamper_bomb_argument, "z_dim=a list"),
        (tamper_layers, "mapping_layers is 1000000000000"),
    ],
)
def test_refused(tmp_path, tamper, says):
    content = snapshot(small_generator(), small_discriminator())
    tamper(content["G_ema"])
    with pytest.raises(ConvertError, match=says) as error:
        convert(write(tmp_path / "s.pkl", content), tmp_path / "model")
    assert "\n" not in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.pkl"]


def test_a_file_without_discriminator(tmp_path):
    source = write(tmp_path / "s.pkl", {"G_ema": snapshot(small_generator(), small_discriminator())["G_ema"]})
    with pytest.raises(ConvertError, match="no discriminator"):
        convert(source, tmp_path / "model", with_discriminator=True)
    convert(source, tmp_path / "model")
