"""Model folders: what was saved is loaded; what is not whole is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dragspace_jax.checkpoint import ModelError, build_generator, load, load_discriminator, read_card, save_parameters
from dragspace_jax.stylegan2 import ConfigError, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from dragspace_jax.stylegan2.parameters import fingerprint, parameters


def test_round_trip(tmp_path: Path, tiny_folder: Path, tiny_generator: Generator) -> None:
    again = load(tiny_folder)
    assert again.config == tiny_generator.config
    for name, value in parameters(tiny_generator).items():
        np.testing.assert_array_equal(parameters(again)[name], value)
    assert fingerprint(again) == fingerprint(tiny_generator)
    assert [path.name for path in tiny_folder.parent.iterdir()] == ["tiny"]
    assert read_card(tiny_folder).source == {"format": "random"}


def test_half_precision_and_discriminator(tmp_path: Path, tiny_generator: Generator) -> None:
    config = DiscriminatorConfig(resolution=8, channels=(8, 8))
    discriminator = Discriminator(config, rngs=nnx.Rngs(0))
    save_parameters(
        tmp_path / "m",
        tiny_generator.config,
        {name: np.asarray(value, np.float16) for name, value in parameters(tiny_generator).items()},
        discriminator_config=config,
        discriminator_values={name: np.asarray(value) for name, value in parameters(discriminator).items()},
        source={"format": "random"},
    )
    values = parameters(load(tmp_path / "m"))
    assert {value.dtype for value in values.values()} == {jnp.dtype(jnp.float32)}
    again = load_discriminator(tmp_path / "m")
    assert again.config == config
    np.testing.assert_array_equal(again.b4.fc.weight[...], discriminator.b4.fc.weight[...])


def test_parameters_that_do_not_fit(tiny_generator: Generator) -> None:
    values = parameters(tiny_generator)
    missing = {name: value for name, value in values.items() if name != "synthesis.b8.conv0.bias"}
    with pytest.raises(ModelError, match=r"missing \['synthesis.b8.conv0.bias'\]"):
        build_generator(tiny_generator.config, missing)
    with pytest.raises(ModelError, match=r"left over \['synthesis.b64.const'\]"):
        build_generator(tiny_generator.config, {**values, "synthesis.b64.const": jnp.zeros(3)})
    with pytest.raises(ModelError, match=r"mapping.w_avg has shape \(3,\)"):
        build_generator(tiny_generator.config, {**values, "mapping.w_avg": jnp.zeros(3)})


def test_folders_that_are_not_whole(tmp_path: Path, tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="unknown model 'nowhere'"):
        load("nowhere")
    with pytest.raises(ModelError, match="no discriminator"):
        load_discriminator(tiny_folder)
    torn = tmp_path / "torn"
    shutil.copytree(tiny_folder, torn)
    shutil.rmtree(torn / "generator")
    with pytest.raises(ModelError, match="not whole"):
        load(torn)
    shutil.copytree(tiny_folder / "generator", torn / "generator")
    data = next((torn / "generator" / "ocdbt.process_0" / "d").iterdir())
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"not whole: generator/ocdbt\.process_0/d/"):
        load(torn)
    card = json.loads((torn / "config.json").read_text())
    (torn / "config.json").write_text(json.dumps({**card, "format_version": 99}))
    with pytest.raises(ModelError, match="format version 99"):
        load(torn)
    (torn / "config.json").write_text(json.dumps({**card, "generator": {**card["generator"], "colour": 1}}))
    with pytest.raises(ModelError, match="colour"):
        load(torn)
    for broken in ("{", "[" * 100_000, "9" * 5_000, "[]"):
        (torn / "config.json").write_text(broken)
        with pytest.raises(ModelError, match="not a model's config"):
            load(torn)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channels", "abcd"),
        ("channels", [-8, 8, 8, 8]),
        ("channels", [8.0, 8, 8, 8]),
        ("z_dim", "16"),
        ("w_dim", 0),
        ("resample_filter", [0, 0, 0, 0]),
        ("resample_filter", [1, 3, 3, float("nan")]),
        ("conv_clamp", -1),
        ("mapping_lr_multiplier", "1"),
        ("mapping_layers", 2.0),
        ("mapping_layers", 10**9),
        ("use_noise", "no"),
        ("resolution", 100),
        ("architecture", "other"),
    ],
)
def test_settings_out_of_range(tiny_folder: Path, name: str, value: object) -> None:
    settings = {**read_card(tiny_folder).generator.to_json(), name: value}
    with pytest.raises(ConfigError, match=name):
        GeneratorConfig.from_json(settings)
