"""Folders of the package `pytorch-pretrained-biggan`: BigGAN-deep (docs/formats.md#biggan-folders).

`config.json` states the architecture, `pytorch_model.bin` is a `torch.save` of the state dict. Spectral norms are
folded here as the package's evaluation mode computes them: the weight over uᵀ W v, with the file's vectors u and v.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.biggan.config import FIRST, REDUCTION, BigGANConfig
from dragspace_jax.convert.check import ConvertError, FoundNetwork, Parameter, Stored, add, closed_to, listed, shown
from dragspace_jax.convert.names import Shape, from_nvlabs
from dragspace_jax.convert.settings import require_known
from dragspace_jax.convert.stored import StoredTensor
from dragspace_jax.networks.config import ConfigError

WEIGHTS, CONFIG = "pytorch_model.bin", "config.json"
_LONGEST_CONFIG = 2**20  # bytes
_DEFAULTS = {
    "output_dim": 128,
    "z_dim": 128,
    "class_embed_dim": 128,
    "channel_width": 128,
    "num_classes": 1000,
    "layers": [
        [False, 16, 16], [True, 16, 16], [False, 16, 16], [True, 16, 8], [False, 8, 8],
        [True, 8, 4], [False, 4, 4], [True, 4, 2], [False, 2, 2], [True, 2, 1],
    ],
    "attention_layer_position": 8,
    "eps": 1e-4,
    "n_stats": 51,
}  # fmt: skip
"""What the package takes for settings that a config.json leaves out: the 128 px layout."""
_NORMS, _KERNELS = range(4), (1, 3, 3, 1)


def is_folder(path: Path) -> bool:
    """Whether a folder is one of the package's, whole or not: its config.json states BigGAN-deep's settings."""
    return (path / CONFIG).is_file() and ((path / WEIGHTS).exists() or _states(path / CONFIG))


def _states(path: Path) -> bool:
    try:
        return "attention_layer_position" in _json(path)
    except ConvertError:
        return False


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes()) if path.stat().st_size <= _LONGEST_CONFIG else None
    except (OSError, ValueError, RecursionError) as error:
        raise ConvertError(f"{CONFIG} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConvertError(f"{CONFIG} holds no settings of a BigGAN")
    return content


def read_config(path: Path) -> BigGANConfig:
    """The architecture that a config.json of the package states. Raises ConvertError."""
    stated = _json(path)
    require_known(stated, frozenset(_DEFAULTS), CONFIG)
    settings = {**_DEFAULTS, **stated}
    del settings["class_embed_dim"]  # the package has it, and embeds classes in as many numbers as z has
    layers = settings["layers"]
    if not isinstance(layers, list) or not all(isinstance(layer, list) for layer in layers):
        raise ConvertError(f"unsupported architecture: layers is {shown(layers)}")
    try:
        return BigGANConfig.from_json({"resolution": settings.pop("output_dim"), **settings})
    except ConfigError as error:
        raise ConvertError(f"unsupported architecture: {error}") from error


def biggan_shapes(config: BigGANConfig) -> dict[str, Shape]:
    """{parameter name: shape in our layout} of a BigGAN-deep, statistics included."""
    condition, width = 2 * config.z_dim, config.channel_width
    first = 16 * FIRST * width
    table: dict[str, Shape] = {
        "embeddings.weight": (config.num_classes, config.z_dim),
        "generator.gen_z.weight": (condition, first),
        "generator.gen_z.bias": (first,),
    }
    place = 0
    for index, (_, taken, last) in enumerate(config.layers):
        if index == config.attention_layer_position:
            table |= _attention(f"generator.layers.{place}", config.attention_channels)
            place += 1
        middle = taken * width // REDUCTION
        widths = (taken * width, middle, middle, middle, last * width)
        name = f"generator.layers.{place}"
        for i, kernel in zip(_NORMS, _KERNELS, strict=True):
            table |= _statistics(f"{name}.bn_{i}", config.n_stats, widths[i])
            table |= {f"{name}.bn_{i}.{part}.weight": (condition, widths[i]) for part in ("scale", "offset")}
            table |= _convolution(f"{name}.conv_{i}", kernel, widths[i], widths[i + 1])
        place += 1
    table |= _statistics("generator.bn", config.n_stats, width)
    table |= {"generator.bn.weight": (width,), "generator.bn.bias": (width,)}
    return table | _convolution("generator.conv_to_rgb", 3, width, 3)


def _statistics(name: str, sets: int, channels: int) -> dict[str, Shape]:
    return {f"{name}.running_means": (sets, channels), f"{name}.running_vars": (sets, channels)}


def _convolution(name: str, kernel: int, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (kernel, kernel, inputs, outputs), f"{name}.bias": (outputs,)}


def _attention(name: str, channels: int) -> dict[str, Shape]:
    parts = {"theta": (channels, channels // 8), "phi": (channels, channels // 8), "g": (channels, channels // 2)}
    widths = {**parts, "o_conv": (channels // 2, channels)}
    return {
        f"{name}.gamma": (1,),
        **{f"{name}.snconv1x1_{part}.weight": (1, 1, *each) for part, each in widths.items()},
    }


@dataclasses.dataclass(frozen=True)
class _Folded:
    """A weight over its spectral norm, as torch's `spectral_norm` folds it where nothing is trained."""

    name: str
    weight: Stored
    u: Stored
    v: Stored

    @property
    def shape(self) -> Shape:
        return self.weight.shape

    def read(self) -> np.ndarray:
        weight, u, v = (each.read().astype(np.float64) for each in (self.weight, self.u, self.v))
        matrix = weight.reshape(len(weight), -1)
        if u.shape != matrix.shape[:1] or v.shape != matrix.shape[1:]:
            raise ConvertError(f"{self.name}: the vectors of the spectral norm, {u.shape} and {v.shape}, do not fit it")
        return _divided(self.name, weight, float(u @ (matrix @ v)))


@dataclasses.dataclass(frozen=True)
class _FoldedBefore:
    """The same in files of PyTorch before 1.0.1, which have no v, but the folded weight of the last pass."""

    name: str
    weight: Stored
    last: Stored

    @property
    def shape(self) -> Shape:
        return self.weight.shape

    def read(self) -> np.ndarray:
        weight, last = (each.read().astype(np.float64) for each in (self.weight, self.last))
        with np.errstate(divide="ignore", invalid="ignore"):
            return _divided(self.name, weight, float((weight / last).mean()))  # as torch opens such a file


def _divided(name: str, weight: np.ndarray, sigma: float) -> np.ndarray:
    if not np.isfinite(sigma) or sigma == 0.0:
        raise ConvertError(f"{name}: its spectral norm is {sigma}, by which nothing can be divided")
    return weight / sigma


def _layout(name: str, array: np.ndarray) -> np.ndarray:
    """A parameter in our layout; of the image's convolution only the channels that the package looks at."""
    ours = from_nvlabs(name, array)
    return ours[..., :3] if name.startswith("generator.conv_to_rgb.") else ours


def read_folder(path: Path, content: object) -> FoundNetwork[BigGANConfig]:
    """The generator of a folder, of whose weights `content` is what the torch file holds.

    Raises:
      ConvertError: settings or parameters that are not those of a BigGAN-deep of this package.
    """
    config = read_config(path / CONFIG)
    state = _state_dict(content)
    found: dict[str, Parameter] = {}
    unknown: list[str] = []
    for name, stored in state.items():
        base, _, part = name.rpartition(".")
        if part in ("weight_u", "weight_v"):
            if f"{base}.weight_orig" not in state:
                unknown.append(name)
        elif part == "weight_orig":
            ours = f"{base}.weight"
            add(found, ours, Parameter.of(name, _folded(base, state), lambda array, ours=ours: _layout(ours, array)))
        elif f"{name}_orig" not in state:  # older versions of PyTorch kept the weight of the last pass as well
            add(found, name, Parameter.of(name, stored, lambda array, name=name: _layout(name, array)))
    return closed_to(biggan_shapes(config), config, found, unknown, what=f"{config.resolution} px BigGAN-deep")


def _folded(base: str, state: Mapping[str, StoredTensor]) -> Stored:
    name = f"{base}.weight_orig"
    weight, u, v, last = (state.get(f"{base}.{part}") for part in ("weight_orig", "weight_u", "weight_v", "weight"))
    assert weight is not None  # for which this was called
    if u is not None and v is not None:
        return _Folded(name, weight, u, v)
    if last is None or last.shape != weight.shape:
        missing = f"{base}.weight_u" if u is None else f"{base}.weight_v"
        raise ConvertError(f"{missing} is missing, without which the spectral norm of {name} is not known")
    return _FoldedBefore(name, weight, last)


def _state_dict(content: object) -> dict[str, StoredTensor]:
    if not isinstance(content, dict):
        raise ConvertError(f"{WEIGHTS} holds a {type(content).__name__}, not the parameters of a BigGAN")
    refuse_other_layouts(content)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, StoredTensor):
            raise ConvertError(f"{WEIGHTS} holds {shown(name)}, which is no named tensor")
    return content


def refuse_other_layouts(content: object) -> None:
    """Raises ConvertError, with the layout's name, for a BigGAN of another program or one without its config.json."""
    if not isinstance(content, dict):
        return
    names = [name for name in content if isinstance(name, str)]
    if {"shared.weight", "linear.weight"} & set(names) and any(name.startswith("blocks.") for name in names):
        kind = "BigGAN-deep" if "blocks.0.0.conv4.weight" in names else "BigGAN"
        raise ConvertError(
            f"this is a {kind} of the program BigGAN-PyTorch, whose layout is not supported; a BigGAN-deep in the "
            f"folder format of pytorch-pretrained-biggan is ({listed([CONFIG, WEIGHTS])})"
        )


def is_state_dict(content: object) -> bool:
    """Whether a torch file's content is that of a `pytorch_model.bin` of the package."""
    return isinstance(content, dict) and "generator.gen_z.weight_orig" in content
