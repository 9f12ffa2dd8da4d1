"""Writes pickles as NVlabs/stylegan2 and stylegan2-ada do: (G, D, Gs) of dnnlib.tflib.network.Network.

The variables are made from published PyTorch parameters by the table of docs/formats.md#tensorflow-pickles, written
down on its own here.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig

from .networks import CHANNEL_BASE, CHANNEL_MAX, Arrays, random_parameters
from .write_nvlabs import EasyDict, published_modules


class Network:
    def __init__(self, name: str, static_kwargs: dict, variables: list, components: dict) -> None:
        self.state = {
            "version": 4,
            "name": name,
            "static_kwargs": static_kwargs,
            "components": components,
            "build_module_src": "raise AssertionError('the source must not run')\n" * 20,
            "build_func_name": "G_main",
            "variables": variables,
        }

    def __getstate__(self) -> dict:
        return self.state


Network.__module__ = "dnnlib.tflib.network"

Variables = list[tuple[str, Any]]


def hwio(weight: np.ndarray, flipped: bool = False) -> np.ndarray:
    moved = np.einsum("oiyx->yxio", weight)
    return np.ascontiguousarray(np.flip(moved, (0, 1)) if flipped else moved)


def styled(arrays: Arrays, layer: str, name: str, flipped: bool = False) -> Variables:
    """A modulated convolution's variables."""
    variables = [
        (f"{name}/weight", hwio(arrays[f"{layer}.weight"], flipped)),
        (f"{name}/mod_weight", np.ascontiguousarray(arrays[f"{layer}.affine.weight"].T)),
        (f"{name}/mod_bias", arrays[f"{layer}.affine.bias"] - np.float32(1)),
        (f"{name}/bias", arrays[f"{layer}.bias"]),
    ]
    if f"{layer}.noise_strength" in arrays:
        variables.append((f"{name}/noise_strength", np.float32(arrays[f"{layer}.noise_strength"])))
    return variables


def dense(arrays: Arrays, layer: str, name: str) -> Variables:
    weight = np.ascontiguousarray(arrays[f"{layer}.weight"].T)
    return [(f"{name}/weight", weight), (f"{name}/bias", arrays[f"{layer}.bias"])]


def generator(config: GeneratorConfig, arrays: Arrays, grown: bool = False) -> Network:
    """`grown`: with the variables of progressive growing, as `orig` networks of NVlabs/stylegan2 have them."""
    mapping: Variables = []
    if config.c_dim:
        mapping += dense(arrays, "mapping.embed", "LabelEmbed")
    for i in range(config.mapping_layers):
        mapping += dense(arrays, f"mapping.fc{i}", f"Dense{i}")
    synthesis: Variables = [("4x4/Const/const", arrays["synthesis.b4.const"][None])]
    top = int(math.log2(config.resolution))
    for power in range(2, top + 1):
        side, block = f"{2**power}x{2**power}", f"synthesis.b{2**power}"
        if power == 2:
            synthesis += styled(arrays, f"{block}.conv1", "4x4/Conv")
            noises = {0: "conv1"}
        else:
            synthesis += styled(arrays, f"{block}.conv0", f"{side}/Conv0_up", flipped=True)
            synthesis += styled(arrays, f"{block}.conv1", f"{side}/Conv1")
            noises = {2 * power - 5: "conv0", 2 * power - 4: "conv1"}
        if config.use_noise:
            synthesis += [(f"noise{k}", arrays[f"{block}.{c}.noise_const"][None, None]) for k, c in noises.items()]
        if f"{block}.skip.weight" in arrays:
            synthesis.append((f"{side}/Skip/weight", hwio(arrays[f"{block}.skip.weight"], flipped=True)))
        if f"{block}.torgb.weight" in arrays:
            name = f"ToRGB_lod{top - power}" if grown else f"{side}/ToRGB"
            synthesis += styled(arrays, f"{block}.torgb", name)
        elif grown:  # what the smaller images were made with; without effect at lod 0
            synthesis += [(f"ToRGB_lod{top - power}/bias", np.zeros(3, np.float32))]
    root: Variables = [("lod", np.float32(0)), ("dlatent_avg", arrays["mapping.w_avg"])]
    settings = {
        "num_channels": config.img_channels,
        "resolution": config.resolution,
        "label_size": config.c_dim,
        "latent_size": config.z_dim,
        "dlatent_size": config.w_dim,
        "mapping_layers": config.mapping_layers,
        "mapping_fmaps": config.mapping_features,
        "fmap_base": CHANNEL_BASE // 2,
        "fmap_max": CHANNEL_MAX,
        "conv_clamp": config.conv_clamp,
        "num_fp16_res": 4,
        "truncation_psi": 0.5,
        "resample_kernel": list(config.resample_filter),
    }
    if grown:
        settings |= {"structure": "auto", "fmap_decay": 1.0}
        synthesis.append(("lod", np.float32(0)))
    else:
        settings |= {"architecture": config.architecture, "use_noise": config.use_noise, "fused_modconv": True}
    parts = {
        "synthesis": Network("G_synthesis", settings, synthesis, {}),
        "mapping": Network("G_mapping", {**settings, "dlatent_broadcast": config.num_ws}, mapping, {}),
    }
    return Network("Gs", settings, root, parts)


def discriminator(config: DiscriminatorConfig, arrays: Arrays) -> Network:
    variables: Variables = []
    if config.c_dim:
        variables += dense(arrays, "mapping.embed", "LabelEmbed")
        for i in range(config.mapping_layers):
            variables += dense(arrays, f"mapping.fc{i}", f"Mapping{i}")
    names = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip", "conv": "Conv"}
    for name, array in arrays.items():
        block, layer, *rest = name.split(".")
        if layer in names and rest:
            side = f"{block[1:]}x{block[1:]}"
            variables.append((f"{side}/{names[layer]}/{rest[0]}", hwio(array) if rest[0] == "weight" else array))
    variables += dense(arrays, "b4.fc", "4x4/Dense0") + dense(arrays, "b4.out", "Output")
    settings = {
        "num_channels": config.img_channels,
        "resolution": config.resolution,
        "label_size": config.c_dim,
        "fmap_base": CHANNEL_BASE // 2,
        "fmap_max": CHANNEL_MAX,
        "architecture": config.architecture,
        "conv_clamp": config.conv_clamp,
        "resample_kernel": list(config.resample_filter),
        "mbstd_group_size": config.mbstd_group_size,
        "mbstd_num_features": config.mbstd_num_channels,
        "mapping_layers": config.mapping_layers,
        "mapping_lrmul": config.mapping_lr_multiplier,
    }
    return Network("D", settings, variables, {})


def snapshot(config: GeneratorConfig, d_config: DiscriminatorConfig, grown: bool = False) -> tuple:
    """What the training programs pickle; the weights are random with the seeds 0 (Gs), 1 (D) and 2 (G)."""
    return (
        generator(config, random_parameters(config, 2), grown),
        discriminator(d_config, random_parameters(d_config, 1)),
        generator(config, random_parameters(config, 0), grown),
    )


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    with published_modules(dnnlib__tflib__network={"Network": Network}, dnnlib__util={"EasyDict": EasyDict}):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path
