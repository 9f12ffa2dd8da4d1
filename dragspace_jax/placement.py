"""Where something runs: devices by their name, `cpu`, `gpu:0` or `tpu:0,1`, and why these.

A platform that JAX does not see is an error that says what to install; nothing falls back to another one unasked.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import jax

from dragspace_jax.device_memory import Device, memory_left
from dragspace_jax.errors import DragspaceError

PLATFORMS = ("cpu", "gpu", "tpu")
_INSTALL = {
    "gpu": "install the build for one, `pip install 'dragspace-jax[cuda13]'` (that is jax[cuda13]), and see that "
    "`nvidia-smi` finds the card",
    "tpu": "install the build for one, `pip install 'dragspace-jax[tpu]'` (that is jax[tpu]), on a TPU's machine",
}
Tree = TypeVar("Tree")


class DeviceError(DragspaceError):
    """A device that is not there, or that JAX does not see; the message says what to install."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Devices:
    """What will be used, and why.

    Attributes:
      devices: JAX's; edits of a batch are divided among all of them, anything else runs on the first.
      platform: `cpu`, `gpu` or `tpu`.
      dtype: what networks compute in unless a setting says otherwise.
      memory: bytes that are free on each device, None where it does not say.
      reason: in words.
    """

    devices: tuple[Device, ...]
    platform: str
    dtype: str
    memory: tuple[int | None, ...]
    reason: str

    def __str__(self) -> str:
        free = ", ".join("unknown" if each is None else f"{each / 2**30:.1f} GiB" for each in self.memory)
        names = ", ".join(f"{device.platform}:{device.id} ({device.device_kind})" for device in self.devices)
        return f"{names}: {self.reason}; {self.dtype}; free memory {free}"


Where = str | Devices | Sequence[Device] | None
"""How a caller says where: `gpu:0`, what `devices` gave, JAX's own devices, or None: nothing is said."""


def devices(asked: Where = None, *, dtype: str = "float32") -> Devices:
    """What will be used, and why.

    Args:
      asked: `cpu`, `gpu` or `tpu`, all of them that this process has; with `:INDEX` or `:INDEX,INDEX` some of them.
        None: all of the platform that JAX prefers, or the device that `jax.default_device` names. JAX's own devices,
        or an earlier answer, stay.
      dtype: `float32` or `bfloat16`, what the caller is going to compute in.

    Raises:
      DeviceError: no such platform or device; with what to install.
    """
    if isinstance(asked, Devices):
        return asked
    if asked is None:
        chosen = _preferred()
        told = _default_device() is not None
        reason = "jax.default_device names it" if told else "nothing was asked for, and JAX prefers this platform"
    elif isinstance(asked, str):
        chosen, reason = _named(asked), f"{asked} was asked for"
    else:
        chosen, reason = list(asked), "they were given"
        if not chosen:
            raise DeviceError("device is empty; name at least one, or leave it out", field="device")
    return Devices(
        devices=tuple(chosen),
        platform=chosen[0].platform,
        dtype=dtype,
        memory=tuple(map(memory_left, chosen)),
        reason=reason,
    )


def _allowed() -> str | None:
    """The platforms that JAX may look for, if the user's settings say so."""
    return jax.config.values["jax_platforms"]


def _default_device() -> Any:
    """What `jax.default_device` names, in this context too."""
    return jax.config.jax_default_device  # type: ignore[attr-defined]


def _preferred() -> list[Device]:
    """All devices of the platform that JAX prefers, or the one that `jax.default_device` names."""
    named = _default_device()
    return jax.local_devices(backend=named) if named is None or isinstance(named, str) else [named]


def _named(asked: str) -> list[Device]:
    match = re.fullmatch(r"(\w+)(?::(\d+(?:,\d+)*))?", asked.strip().lower())
    if match is None or match[1] not in PLATFORMS:
        raise DeviceError(f"device is {asked!r}; it must be like cpu, gpu, tpu, gpu:0 or tpu:0,1", field="device")
    platform = match[1]
    try:
        known: list[Device] = jax.local_devices(backend=platform)
    except RuntimeError:  # what JAX raises for a platform that it does not have
        known = []
    if not known:
        present = ", ".join(sorted({device.platform for device in jax.local_devices()}))
        hidden = _allowed()
        advice = f"JAX_PLATFORMS={hidden} hides it" if hidden and platform not in hidden else _INSTALL.get(platform, "")
        raise DeviceError(f"device {platform}: JAX sees none here, only {present}; {advice}", field="device")
    if match[2] is None:
        return known
    indices = list(dict.fromkeys(map(int, match[2].split(","))))
    missing = [index for index in indices if index >= len(known)]
    if missing:
        raise DeviceError(
            f"device {platform}:{missing[0]}: there is none; here are {platform}:0 to {platform}:{len(known) - 1}"
            if len(known) > 1
            else f"device {platform}:{missing[0]}: there is none; here is {platform}:0 alone",
            field="device",
        )
    return [known[index] for index in indices]


def one_device(asked: Where) -> Device | None:
    """The device for what runs on one: the first of the platform that is asked for; None: nothing is asked for.

    Raises:
      DeviceError: as `devices`, or several are named.
    """
    if asked is None:
        return None
    chosen = list(devices(asked).devices)
    if isinstance(asked, str) and ":" in asked and len(chosen) > 1:
        raise DeviceError(
            f"device is {asked!r}; this runs on one device, batches on several: name one of them", field="device"
        )
    return chosen[0]


def placed(tree: Tree, device: Device | None) -> Tree:
    """A pytree on a device, its arrays as they are where they lie there already; None: as it is."""
    if device is None or all(leaf.devices() == {device} for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.device_put(tree, device)


@contextmanager
def running_on(device: Device | None) -> Iterator[None]:
    """Let everything that does not say where run on a device; None: where JAX prefers."""
    if device is None or device == present_device():
        yield
        return
    with jax.default_device(device):
        yield


def present_device() -> Device:
    """The device on which something runs that does not say where."""
    return _preferred()[0]


def platform_of(tree: Any) -> str:
    """The platform on which the arrays of a pytree lie; of NumPy's alone, the one that they would go to."""
    for leaf in jax.tree.leaves(tree):
        if isinstance(leaf, jax.Array):
            return next(iter(leaf.devices())).platform
    return present_device().platform
