"""Writes files as rosinality's StyleGAN2 does, from published parameters (docs/formats.md#rosinality-files)."""

from __future__ import annotations

import argparse
import collections
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dragspace_jax.stylegan2.config import GeneratorConfig

from .networks import Arrays

State = collections.OrderedDict[str, torch.Tensor]


def state_dict(config: GeneratorConfig, arrays: Arrays) -> State:
    """Everything but latent_avg."""
    state: State = collections.OrderedDict()
    taps = torch.tensor(config.resample_filter)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2

    def put(name: str, array: np.ndarray) -> None:
        state[name] = torch.from_numpy(array.copy())

    def styled(name: str, layer: str) -> None:
        put(f"{name}.conv.weight", arrays[f"{layer}.weight"][None])
        put(f"{name}.conv.modulation.weight", arrays[f"{layer}.affine.weight"])
        put(f"{name}.conv.modulation.bias", arrays[f"{layer}.affine.bias"])

    def convolution(name: str, layer: str) -> None:
        styled(name, layer)
        put(f"{name}.noise.weight", arrays[f"{layer}.noise_strength"][None])
        put(f"{name}.activate.bias", arrays[f"{layer}.bias"])

    def to_rgb(name: str, layer: str) -> None:
        put(f"{name}.bias", arrays[f"{layer}.bias"][None, :, None, None])
        styled(name, layer)

    for i in range(config.mapping_layers):
        put(f"style.{i + 1}.weight", arrays[f"mapping.fc{i}.weight"])
        put(f"style.{i + 1}.bias", arrays[f"mapping.fc{i}.bias"])
    put("input.input", arrays["synthesis.b4.const"][None])
    convolution("conv1", "synthesis.b4.conv1")
    to_rgb("to_rgb1", "synthesis.b4.torgb")
    put("noises.noise_0", arrays["synthesis.b4.conv1.noise_const"][None, None])
    for j, resolution in enumerate(config.block_resolutions[1:]):
        block = f"synthesis.b{resolution}"
        for k, layer in enumerate(("conv0", "conv1")):
            convolution(f"convs.{2 * j + k}", f"{block}.{layer}")
            put(f"noises.noise_{1 + 2 * j + k}", arrays[f"{block}.{layer}.noise_const"][None, None])
        state[f"convs.{2 * j}.conv.blur.kernel"] = kernel * 4
        to_rgb(f"to_rgbs.{j}", f"{block}.torgb")
        state[f"to_rgbs.{j}.upsample.kernel"] = kernel * 4
    return state


def content(config: GeneratorConfig, arrays: Arrays, *, kind: str) -> Any:
    """kind: `converted` (with latent_avg), `trained` (with the rest that training saves) or `bare`."""
    state = state_dict(config, arrays)
    if kind == "bare":
        return state
    if kind == "converted":
        return {"g_ema": state, "latent_avg": torch.from_numpy(arrays["mapping.w_avg"].copy())}
    weight = torch.nn.Parameter(torch.randn(4, 3))
    optimiser = torch.optim.Adam([weight])
    weight.sum().backward()
    optimiser.step()
    return {
        "g": state,
        "d": {"convs.0.0.weight": torch.randn(4, 3, 1, 1)},
        "g_ema": state,
        "g_optim": optimiser.state_dict(),
        "d_optim": optimiser.state_dict(),
        "args": argparse.Namespace(path="data.lmdb", size=16, channel_multiplier=2, r1=10.0, ckpt=None),
        "ada_aug_p": 0.0,
    }


def write(path: Path, value: Any, *, zipped: bool = True, protocol: int = 2) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    return path
