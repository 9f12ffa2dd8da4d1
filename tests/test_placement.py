"""Where things run: devices by name, what is said of those that are not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from click.testing import Result

import dragspace_jax as ds
from dragspace_jax import placement
from dragspace_jax.device_memory import memory_left
from dragspace_jax.placement import DeviceError, one_device
from dragspace_jax.stylegan2 import Generator


def test_what_will_be_used_and_why() -> None:
    first = jax.local_devices()[0]
    unasked, asked, given = ds.devices(), ds.devices("CPU:0"), ds.devices([first])
    assert unasked.devices == asked.devices == given.devices == (first,)
    assert (asked.platform, asked.dtype) == ("cpu", "float32")
    assert asked.memory[0]
    assert asked.reason == "CPU:0 was asked for"
    assert "JAX prefers" in unasked.reason
    assert "GiB" in str(asked)
    assert ds.devices(asked) is asked
    with jax.default_device(first):
        assert ds.devices().reason == "jax.default_device names it"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("gpu", "JAX sees none here, only cpu"),
        ("tpu:0", "JAX sees none here, only cpu"),
        ("cpu:1", "here is cpu:0 alone"),
        ("cuda", "must be like cpu, gpu"),
        ("gpu:", "must be like cpu, gpu"),
    ],
)
def test_devices_that_are_not_there(asked: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        ds.devices(asked)


def test_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="JAX_PLATFORMS=cpu hides it"):
        ds.devices("gpu")
    monkeypatch.setattr(placement, "_allowed", lambda: None)
    for platform, extra in (("gpu", "jax[cuda13]"), ("tpu", "jax[tpu]")):
        with pytest.raises(DeviceError, match="pip install") as told:
            ds.devices(platform)
        assert extra in str(told.value)


def test_accelerators_are_asked_for_their_memory() -> None:
    def device(stats: dict[str, int] | None) -> SimpleNamespace:
        return SimpleNamespace(platform="gpu", memory_stats=lambda: stats)

    assert memory_left(device({"bytes_limit": 100, "bytes_in_use": 30})) == 70
    assert memory_left(device({})) is memory_left(device(None)) is None


def test_commands_take_a_device(
    dragspace: Callable[..., Result], tiny_folder: Path, tmp_path: Path, tiny_generator: Generator
) -> None:
    command = ("generate", "--model", tiny_folder, "--seeds", 1, "--out", tmp_path)
    assert dragspace(*command, "--device", "cpu:0").exit_code == 0
    refused = dragspace(*command, "--device", "gpu")
    assert refused.exit_code == 2
    assert refused.output.startswith("Error: --device gpu: JAX sees none here")
    images = [ds.generate(tiny_generator, [1], device=device) for device in (None, "cpu:0")]
    assert (images[0] == images[1]).all()


_SECOND = """
import sys
import jax, numpy as np
import dragspace_jax as ds
from dragspace_jax.placement import one_device
model = ds.load(sys.argv[1], device="cpu:1")
assert {d.id for leaf in jax.tree.leaves(model) for d in leaf.devices()} == {1}
assert ds.render(model, ds.seed_latents(model, [0], psi=1)[0]).shape == (32, 32, 3)
assert [d.id for d in ds.devices("cpu:2,5").devices] == [2, 5]
assert one_device("cpu").id == 0
try:
    one_device("cpu:1,2")
except ds.DragspaceError as error:
    assert "name one of them" in str(error)
else:
    raise AssertionError
"""


def test_the_second_of_several(eight_devices: dict[str, str], tiny_folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _SECOND, tiny_folder], env=eight_devices, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_nothing_asked_for_leaves_all_as_it_is() -> None:
    assert one_device(None) is None
