"""Files of rosinality's StyleGAN2 in PyTorch (docs/formats.md#rosinality-files).

They have one architecture; all sizes are read off the shapes.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from dragspace_jax.convert.check import ConvertError, Found, FoundNetwork, Parameter, add, closed, shown
from dragspace_jax.convert.names import NUMBER, Shape, from_nvlabs
from dragspace_jax.convert.settings import filter_taps, one_filter
from dragspace_jax.convert.shapes import generator_config
from dragspace_jax.convert.stored import StoredTensor
from dragspace_jax.stylegan2.config import GeneratorConfig

W_AVG_SAMPLES = 10_000
W_AVG_SEED = 0
_LR_MULTIPLIER = 0.01  # the published one; nothing in the file states it
_TAILS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
}


@dataclasses.dataclass(frozen=True)
class _MeanOfW:
    """The mean of mapped z, for files without latent_avg; computed when it is read."""

    mapping: Found
    layers: int
    shape: Shape

    def read(self) -> np.ndarray:
        """As the mapping network computes it (docs/formats.md#shared-arithmetic), in NumPy: [D]."""
        width = self.mapping["mapping.fc0.weight"].shape[0]
        x = np.random.RandomState(W_AVG_SEED).randn(W_AVG_SAMPLES, width).astype(np.float32)
        x /= np.sqrt(np.mean(np.square(x), 1, keepdims=True) + 1e-8)
        for i in range(self.layers):
            weight, bias = (self.mapping[f"mapping.fc{i}.{part}"].read() for part in ("weight", "bias"))
            x = x @ (weight * (_LR_MULTIPLIER / math.sqrt(len(weight)))) + bias * _LR_MULTIPLIER
            x = np.where(x < 0, 0.2 * x, x) * np.float32(math.sqrt(2))
        return x.mean(0)


def _first(axes: int) -> Callable[[np.ndarray], np.ndarray]:
    """Drop leading axes of length 1."""
    return lambda array: array.reshape(array.shape[axes:]) if array.shape[:axes] == (1,) * axes else array


def _our_name(name: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]] | None:
    """The published name of a parameter, and the layout that turns it into the published one."""
    if match := re.fullmatch(rf"style\.{NUMBER}\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}", _first(0)
    if name == "input.input":
        return "synthesis.b4.const", _first(1)
    if match := re.fullmatch(rf"noises\.noise_{NUMBER}", name):
        index = int(match[1])
        return f"synthesis.b{2 ** ((index + 5) // 2)}.conv{(index + 1) % 2}.noise_const", _first(2)
    if match := re.fullmatch(rf"(conv1|to_rgb1|convs\.{NUMBER}|to_rgbs\.{NUMBER})\.(.+)", name):
        kind, convolution, image, tail = match.groups()
        if tail not in _TAILS:
            return None
        if convolution is not None:
            layer = f"b{8 * 2 ** (int(convolution) // 2)}.conv{int(convolution) % 2}"
        elif image is not None:
            layer = f"b{8 * 2 ** int(image)}.torgb"
        else:
            layer = "b4.conv1" if kind == "conv1" else "b4.torgb"
        leading = {"conv.weight": 1, "noise.weight": 1}.get(tail, 0)
        # A ToRGB's bias is [1, 3, 1, 1].
        layout = (lambda array: array.reshape(-1)) if tail == "bias" else _first(leading)
        return f"synthesis.{layer}.{_TAILS[tail]}", layout
    return None


def _layout(ours: str, published: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: from_nvlabs(ours, published(array))


def read_file(content: object) -> tuple[FoundNetwork[GeneratorConfig], dict[str, Any]]:
    """The generator `g_ema`, or a bare state dict, and what to remember of how w_avg came about.

    Raises:
      ConvertError: no such state dict, or one that cannot be converted.
    """
    state, latent_avg = _state_dict(content)
    found, unknown, filters = {}, [], {}
    for name, value in state.items():
        if name.endswith(".kernel"):
            filters[name] = filter_taps(value.read() if value.shape == (4, 4) else None, name)
        elif (mapped := _our_name(name)) is None:
            unknown.append(name)
        else:
            ours, published = mapped
            add(found, ours, Parameter.of(name, value, _layout(ours, published)))
    stated = {
        "architecture": "skip",
        "mapping_lr_multiplier": _LR_MULTIPLIER,
        "resample_filter": one_filter(filters),
    }
    config = generator_config(found, stated)
    if latent_avg is not None:
        found["mapping.w_avg"] = Parameter.of("latent_avg", latent_avg, _first(len(latent_avg.shape) - 1))
        return closed(config, found, unknown), {}
    mean = _MeanOfW(dict(found), config.mapping_layers, (config.w_dim,))
    found["mapping.w_avg"] = Parameter.of("latent_avg", mean, _first(0))
    return closed(config, found, unknown), {"w_avg": {"samples": W_AVG_SAMPLES, "seed": W_AVG_SEED}}


def _state_dict(content: object) -> tuple[dict[str, StoredTensor], StoredTensor | None]:
    if not isinstance(content, dict):
        raise ConvertError(f"the torch file holds a {type(content).__name__}, not a rosinality checkpoint")
    state = content if "input.input" in content else content.get("g_ema")
    if not isinstance(state, dict) or "input.input" not in state:
        raise ConvertError("this torch file holds no rosinality generator (g_ema with input.input)")
    latent_avg = None if state is content else content.get("latent_avg")
    for name, value in state.items():
        if not isinstance(name, str):
            raise ConvertError(f"the generator has a parameter without a name ({shown(name)})")
        if not isinstance(value, StoredTensor):
            raise ConvertError(f"{name:.40} is a {type(value).__name__}, not a tensor")
    if not isinstance(latent_avg, StoredTensor | None):
        raise ConvertError(f"latent_avg is a {type(latent_avg).__name__}, not a tensor")
    return state, latent_avg
