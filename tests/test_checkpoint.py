"""Model folders: what was saved is loaded; what is not whole is named."""

from __future__ import annotations

import functools
import json
import shutil
import sys
import threading
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dragspace_jax import checkpoint
from dragspace_jax.building import ModelError, build_generator
from dragspace_jax.checkpoint import load, load_discriminator, read_card, save_parameters
from dragspace_jax.networks.parameters import fingerprint, parameters
from dragspace_jax.stylegan2 import ConfigError, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig


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


def test_other_things_are_not_replaced(tmp_path: Path, tiny_generator: Generator) -> None:
    values = {name: np.asarray(value) for name, value in parameters(tiny_generator).items()}
    (tmp_path / "empty").mkdir()
    save_parameters(tmp_path / "empty", tiny_generator.config, values, source={})
    assert read_card(tmp_path / "empty").source == {}
    (tmp_path / "link").symlink_to("empty")
    save_parameters(tmp_path / "link", tiny_generator.config, values, source={"number": 2})
    assert (tmp_path / "link").is_symlink()
    assert read_card(tmp_path / "empty").source == {"number": 2}
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    (tmp_path / "file").touch()
    for name in ("photos", "file"):
        with pytest.raises(ModelError, match="no model folder"):
            save_parameters(tmp_path / name, tiny_generator.config, values, source={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "link", "photos"]


class Interruption:
    """Raises at the n-th operation that this process tries on files below a folder, before it happens.

    Args:
      folder: where the operations count.
      at: which of them fails, from 0; None: all are only counted.
      error: what is raised.
      dead: whether every later operation fails too, as if the process had been killed.
    """

    OPERATIONS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "shutil.rmtree", "os.listdir")
    active: Interruption | None = None

    def __init__(self, folder: Path, at: int | None, error: type[BaseException], dead: bool) -> None:
        self.folder, self.at, self.error, self.dead = str(folder), at, error, dead
        self.count = 0

    def __enter__(self) -> Interruption:
        Interruption.active = self
        return self

    def __exit__(self, *_: object) -> None:
        Interruption.active = None

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in self.OPERATIONS or not str(arguments[0]).startswith(self.folder):
            return
        if event == "open" and arguments[1] == "r":
            return
        self.count += 1
        if self.at is not None and (self.count - 1 == self.at or (self.dead and self.count > self.at)):
            raise self.error("interrupted")


@functools.cache
def install_hook() -> None:
    """Once: an audit hook stays for the life of the process."""
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if Interruption.active is not None and threading.current_thread() is threading.main_thread():
        Interruption.active.see(event, arguments)


class OneFile:
    """Writes what `checkpoint._writer` does into one file, without the many operations of Orbax."""

    def __enter__(self) -> OneFile:
        return self

    def __exit__(self, *_: object) -> None: ...

    def save(self, folder: Path, values: dict[str, np.ndarray]) -> None:
        folder.mkdir()
        (folder / "values").write_text(str(float(values["synthesis.b4.const"].ravel()[0])))


@pytest.mark.parametrize(("error", "dead"), [(OSError, False), (KeyboardInterrupt, False), (KeyboardInterrupt, True)])
def test_no_interruption_loses_a_model(
    tmp_path: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], dead: bool
) -> None:
    """At every operation in turn; afterwards a whole model is there, and the next save leaves no trace of it all."""
    monkeypatch.setattr(checkpoint, "_writer", OneFile)
    install_hook()
    values = {name: np.asarray(value) for name, value in parameters(tiny_generator).items()}
    folder = tmp_path / "m"

    def save(number: int) -> None:
        filled = {**values, "synthesis.b4.const": np.full((4, 4, 16), number)}
        save_parameters(folder, tiny_generator.config, filled, source={"number": number})

    def stored() -> int:
        place = checkpoint.resolve(folder)
        card = read_card(folder)
        assert {path: (place / path).stat().st_size for path in card.files} == card.files
        assert (place / "generator" / "values").read_text() == f"{card.source['number']}.0"
        return card.source["number"]

    save(0)
    with Interruption(tmp_path, None, error, dead) as counted:
        save(0)
    seen = set()
    assert counted.count > 10
    for at in range(counted.count):
        save(0)
        for staging in tmp_path.glob(".m-*"):
            shutil.rmtree(staging)
        try:
            with Interruption(tmp_path, at, error, dead):
                save(1)
        except error:
            assert folder.exists() or dead
        seen.add(stored())
    assert seen == {0, 1}
    save(2)
    assert stored() == 2
    if not dead:
        assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_model_in_an_object_store(
    tiny_folder: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etils import epath

    monkeypatch.setattr(epath, "Path", lambda place: tiny_folder / place.removeprefix("gs://bucket/"))
    found, expected = (parameters(each) for each in (load("gs://bucket/."), tiny_generator))
    assert all((np.asarray(found[name]) == np.asarray(expected[name])).all() for name in expected)
    with pytest.raises(ModelError, match=r"gs://bucket/none cannot be read: .*No such file"):
        load("gs://bucket/none")
