"""Parameter names, shapes and layouts: the published ones and ours.

Our names are the published PyTorch names; only the layouts differ (docs/formats.md#names-and-layouts): convolutions
HWIO, dense weights [in, out], the constant [4, 4, C]. Which parameters a network has, and how large they are, follows
from its config alone, so that a conversion can be checked without building a module.
"""

from __future__ import annotations

import numpy as np

from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig

Shape = tuple[int, ...]
NUMBER = r"(0|[1-9][0-9]?)"
"""A layer's number in a name, as a pattern. Leading zeros would be further names of the same layer."""


def from_nvlabs(name: str, array: np.ndarray) -> np.ndarray:
    """A published PyTorch parameter in our layout (a view): OIHW → HWIO, [out, in] → [in, out], [C, 4, 4] → [4, 4, C].

    `name` is the published one, whole or its end; `array` has the published layout.
    """
    if name.endswith("const") and array.ndim == 3:
        return array.transpose(1, 2, 0)
    if name.endswith("weight") and array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if name.endswith("weight") and array.ndim == 2:
        return array.T
    return array


def _dense(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (inputs, outputs), f"{name}.bias": (outputs,)}


def _convolution(name: str, kernel: int, inputs: int, outputs: int, bias: bool = True) -> dict[str, Shape]:
    weight: dict[str, Shape] = {f"{name}.weight": (kernel, kernel, inputs, outputs)}
    return {**weight, f"{name}.bias": (outputs,)} if bias else weight


def _mapping(
    z_dim: int, c_dim: int, w_dim: int, layers: int, features: int | None, embed_features: int | None
) -> dict[str, Shape]:
    hidden = w_dim if features is None else features
    embed = 0 if c_dim == 0 else (w_dim if embed_features is None else embed_features)
    table = _dense("mapping.embed", c_dim, embed) if c_dim > 0 else {}
    widths = [z_dim + embed, *[hidden] * (layers - 1), w_dim]
    for i in range(layers):
        table |= _dense(f"mapping.fc{i}", widths[i], widths[i + 1])
    return table


def generator_shapes(config: GeneratorConfig) -> dict[str, Shape]:
    """{parameter name: shape in our layout} of a generator, buffers (w_avg, noise_const) included."""
    table = _mapping(
        config.z_dim,
        config.c_dim,
        config.w_dim,
        config.mapping_layers,
        config.mapping_features,
        config.embed_features,
    )
    table["mapping.w_avg"] = (config.w_dim,)
    for resolution in config.block_resolutions:
        block, channels = f"synthesis.b{resolution}", config.block_channels(resolution)
        below = channels if resolution == 4 else config.block_channels(resolution // 2)
        if resolution == 4:
            table[f"{block}.const"] = (4, 4, channels)
        for layer, inputs in (("conv0", below), ("conv1", channels)):
            if resolution == 4 and layer == "conv0":
                continue
            table |= _convolution(f"{block}.{layer}", 3, inputs, channels)
            table |= _dense(f"{block}.{layer}.affine", config.w_dim, inputs)
            if config.use_noise:
                table[f"{block}.{layer}.noise_const"] = (resolution, resolution)
                table[f"{block}.{layer}.noise_strength"] = ()
        if config.architecture == "skip" or resolution == config.resolution:
            table |= _convolution(f"{block}.torgb", 1, channels, config.img_channels)
            table |= _dense(f"{block}.torgb.affine", config.w_dim, channels)
        if config.architecture == "resnet" and resolution > 4:
            table |= _convolution(f"{block}.skip", 1, below, channels, bias=False)
    return table


def discriminator_shapes(config: DiscriminatorConfig) -> dict[str, Shape]:
    """{parameter name: shape in our layout} of a discriminator."""
    table: dict[str, Shape] = {}
    base = config.block_channels(4)
    cmap_dim = base if config.cmap_dim is None else config.cmap_dim
    if config.c_dim > 0:
        layers, features = config.mapping_layers, config.mapping_features
        table |= _mapping(0, config.c_dim, cmap_dim, layers, features, config.embed_features)
    for resolution in config.block_resolutions:
        block, channels = f"b{resolution}", config.block_channels(resolution)
        if config.architecture == "skip" or resolution == config.resolution:
            table |= _convolution(f"{block}.fromrgb", 1, config.img_channels, channels)
        if resolution > 4:
            below = config.block_channels(resolution // 2)
            table |= _convolution(f"{block}.conv0", 3, channels, channels)
            table |= _convolution(f"{block}.conv1", 3, channels, below)
            if config.architecture == "resnet":
                table |= _convolution(f"{block}.skip", 1, channels, below, bias=False)
    table |= _convolution("b4.conv", 3, base + config.mbstd_num_channels, base)
    table |= _dense("b4.fc", base * 16, base)
    table |= _dense("b4.out", base, cmap_dim if config.c_dim > 0 else 1)
    return table
