"""Variable names of the TensorFlow networks (docs/formats.md#tensorflow-pickles), and the way into ours.

Weights are stored HWIO and [in, out], as ours are. Up-sampling convolutions have both spatial axes reversed, and style
biases lack the 1 that the program adds.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from dragspace_jax.convert.names import NUMBER

Layout = Callable[[np.ndarray], np.ndarray]


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _reversed(array: np.ndarray) -> np.ndarray:
    return array[::-1, ::-1]


_TAILS: dict[str, tuple[str, Layout]] = {
    "weight": ("weight", _same),
    "bias": ("bias", _same),
    "noise_strength": ("noise_strength", _same),
    "mod_weight": ("affine.weight", _same),
    "mod_bias": ("affine.bias", lambda array: array + np.float32(1)),
}
_GENERATOR_LAYERS = {"Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}
_DISCRIMINATOR_LAYERS = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip"}


def generator_name(name: str, resolution: int) -> tuple[str, Layout] | None:
    """Our name and layout of a variable; None if it stands for nothing."""
    if name == "dlatent_avg":
        return "mapping.w_avg", _same
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", lambda array: array[0].transpose(1, 2, 0)
    if match := re.fullmatch(rf"mapping/(LabelEmbed|Dense{NUMBER})/(weight|bias)", name):
        layer = "embed" if match[2] is None else f"fc{match[2]}"
        return f"mapping.{layer}.{match[3]}", _same
    if match := re.fullmatch(rf"synthesis/noise{NUMBER}", name):
        index = int(match[1])
        layer = "conv1" if index % 2 == 0 else "conv0"
        return f"synthesis.b{2 ** ((index + 5) // 2)}.{layer}.noise_const", lambda array: array[0, 0]
    if match := re.fullmatch(rf"synthesis/ToRGB_lod{NUMBER}/(\w+)", name):
        block, layer, tail = resolution >> int(match[1]), "torgb", match[2]
    elif match := re.fullmatch(r"synthesis/([1-9][0-9]{0,3})x\1/(\w+)/(\w+)", name):
        block, tail = int(match[1]), match[3]
        layer = {"Conv": "conv1", "ToRGB": "torgb"}.get(match[2]) if block == 4 else _GENERATOR_LAYERS.get(match[2])
    else:
        return None
    if layer is None or tail not in _TAILS:
        return None
    ending, layout = _TAILS[tail]
    if ending == "weight" and layer in ("conv0", "skip"):
        layout = _reversed
    return f"synthesis.b{block}.{layer}.{ending}", layout


def discriminator_name(name: str, resolution: int) -> tuple[str, Layout] | None:
    """Our name and layout of a variable; None if it stands for nothing."""
    if match := re.fullmatch(rf"(LabelEmbed|Mapping{NUMBER}|Output)/(weight|bias)", name):
        layer = {"LabelEmbed": "mapping.embed", "Output": "b4.out"}.get(match[1], f"mapping.fc{match[2]}")
    elif match := re.fullmatch(rf"FromRGB_lod{NUMBER}()/(weight|bias)", name):
        layer = f"b{resolution >> int(match[1])}.fromrgb"
    elif match := re.fullmatch(r"4x4/(Conv|Dense0|FromRGB)()/(weight|bias)", name):
        layer = "b4." + {"Conv": "conv", "Dense0": "fc", "FromRGB": "fromrgb"}[match[1]]
    elif match := re.fullmatch(r"([1-9][0-9]{0,3})x\1/(FromRGB|Conv0|Conv1_down|Skip)/(weight|bias)", name):
        layer = f"b{match[1]}.{_DISCRIMINATOR_LAYERS[match[2]]}"
    else:
        return None
    return f"{layer}.{match[3]}", _same
