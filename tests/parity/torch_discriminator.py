"""A StyleGAN2 discriminator in PyTorch, with the published parameter names; see `torch_stylegan2`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from dragspace_jax.benchmarks.torch_reference.torch_layers import (
    SQRT_HALF,
    Convolution,
    Dense,
    MappingNetwork,
    downsampled,
    filtered,
    leaky,
)
from dragspace_jax.stylegan2.config import DiscriminatorConfig


class Discriminator(nn.Module):
    """A StyleGAN2 discriminator with random weights."""

    def __init__(self, config: DiscriminatorConfig, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config = config
        narrowest = config.block_channels(4)
        for resolution in config.block_resolutions[:0:-1]:
            block = nn.Module()
            channels, above = config.block_channels(resolution), config.block_channels(resolution // 2)
            if config.architecture == "skip" or resolution == config.resolution:
                block.fromrgb = Convolution(config.img_channels, channels, 1)
            block.conv0 = Convolution(channels, channels, 3)
            block.conv1 = Convolution(channels, above, 3)
            if config.architecture == "resnet":
                block.skip = Convolution(channels, above, 1, bias=False)
            self.add_module(f"b{resolution}", block)
        last = self.b4 = nn.Module()
        cmap_dim = (config.cmap_dim or narrowest) if config.c_dim else 0
        if config.architecture == "skip":
            last.fromrgb = Convolution(config.img_channels, narrowest, 1)
        last.conv = Convolution(narrowest + config.mbstd_num_channels, narrowest, 3)
        last.fc = Dense(narrowest * 16, narrowest)
        last.out = Dense(narrowest, cmap_dim or 1)
        if cmap_dim:
            self.mapping = MappingNetwork(
                0,
                config.c_dim,
                cmap_dim,
                config.mapping_layers,
                config.mapping_features,
                config.embed_features,
                config.mapping_lr_multiplier,
            )
        self.requires_grad_(False)

    def forward(self, image: Tensor, c: Tensor | None = None) -> Tensor:
        """Logits [B, 1] of image [B, 3, H, W] under labels [B, c_dim]."""
        config, taps, clamp = self.config, self.config.resample_filter, self.config.conv_clamp
        x = None
        for resolution in config.block_resolutions[:0:-1]:
            block: Any = getattr(self, f"b{resolution}")
            if hasattr(block, "fromrgb"):
                seen = leaky(block.fromrgb(image), clamp=clamp)
                x = seen if x is None else x + seen
            assert x is not None
            gain = SQRT_HALF if config.architecture == "resnet" else 1.0
            y = leaky(block.conv0(x), clamp=clamp)
            y = leaky(block.conv1(filtered(y, taps, (2, 2)), stride=2, padding=0), gain, clamp)
            x = y + gain * block.skip(downsampled(x, taps)) if config.architecture == "resnet" else y
            image = downsampled(image, taps) if config.architecture == "skip" else image
        assert x is not None
        last: Any = self.b4
        if config.architecture == "skip":
            x = x + leaky(last.fromrgb(image))  # the published network does not clamp this one
        x = leaky(last.conv(self._with_deviation(x)), clamp=clamp)
        x = last.out(leaky(last.fc(x.flatten(1))))
        if hasattr(self, "mapping"):
            x = (x * self.mapping(None, c)).sum(1, keepdim=True) / math.sqrt(x.shape[1])
        return x

    def _with_deviation(self, x: Tensor) -> Tensor:
        """x [B, C, 4, 4] and the mean standard deviation of its group (image n is in group n mod B/G) as a channel."""
        if self.config.mbstd_num_channels == 0:
            return x
        batch, _, height, width = x.shape
        size = min(self.config.mbstd_group_size, batch)
        groups = x.reshape(size, batch // size, self.config.mbstd_num_channels, -1, height, width)
        deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((2, 3, 4))
        return torch.cat([x, deviation.repeat(size, 1)[:, :, None, None].expand(-1, -1, height, width)], 1)
