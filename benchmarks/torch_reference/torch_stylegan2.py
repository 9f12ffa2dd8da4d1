"""A StyleGAN2 generator in PyTorch: what the parity tests compare with and the benchmarks race against.

Parameter names are the published ones, layouts NCHW and OIHW, everything float32. The modulated convolution is fused
(one weight a sample, grouped convolution), as in the published drag loop. Written from the papers (arXiv 1912.04958,
arXiv 2006.06676); the golden arrays of the published implementation hold it to the letter
(`tests/parity/test_golden_torch.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dragspace_jax.stylegan2.config import GeneratorConfig

from .torch_layers import SQRT_HALF, Convolution, Dense, MappingNetwork, filtered, leaky, modulated, upsampled


class SynthesisLayer(nn.Module):
    noise_const: Tensor

    def __init__(self, config: GeneratorConfig, inputs: int, outputs: int, resolution: int, up: bool) -> None:
        super().__init__()
        self.affine = Dense(config.w_dim, inputs, bias_start=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(0.3 * torch.randn(outputs))
        self.clamp, self.taps, self.up, self.resolution = config.conv_clamp, config.resample_filter, up, resolution
        self.use_noise = config.use_noise
        if config.use_noise:
            self.noise_strength = nn.Parameter(0.3 * torch.randn(()))
            self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, styles: Tensor, noise: str, gain: float = 1.0) -> Tensor:
        x = modulated(x, self.weight, styles, demodulate=True, up=self.up)
        if self.up:
            x = filtered(x, self.taps, (1, 1)) * 4
        if self.use_noise and noise == "const":
            x = x + self.noise_const * self.noise_strength
        elif self.use_noise and noise == "random":
            x = x + torch.randn(x.shape[0], 1, *x.shape[2:], device=x.device) * self.noise_strength
        return leaky(x + self.bias[:, None, None], gain, self.clamp)


class ToRGB(nn.Module):
    def __init__(self, config: GeneratorConfig, inputs: int) -> None:
        super().__init__()
        self.affine = Dense(config.w_dim, inputs, bias_start=1.0)
        self.weight = nn.Parameter(torch.randn(config.img_channels, inputs, 1, 1))
        self.bias = nn.Parameter(0.3 * torch.randn(config.img_channels))
        self.clamp = config.conv_clamp

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        gain = 1 / math.sqrt(x.shape[1])
        x = modulated(x, self.weight, styles * gain, demodulate=False) + self.bias[:, None, None]
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    def __init__(self, config: GeneratorConfig, resolution: int) -> None:
        super().__init__()
        self.config, self.resolution = config, resolution
        channels = config.block_channels(resolution)
        inputs = None if resolution == 4 else config.block_channels(resolution // 2)
        if inputs is None:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            self.conv0 = SynthesisLayer(config, inputs, channels, resolution, up=True)
            if config.architecture == "resnet":
                self.skip = Convolution(inputs, channels, 1, bias=False)
        self.conv1 = SynthesisLayer(config, channels, channels, resolution, up=False)
        if config.architecture == "skip" or resolution == config.resolution:
            self.torgb = ToRGB(config, channels)

    def layers(self) -> list[str]:
        """Names of the style-driven layers in the order of their w; the last, ToRGB, shares the next block's first."""
        return [name for name in ("conv0", "conv1", "torgb") if hasattr(self, name)]

    def forward(
        self, x: Tensor | None, image: Tensor | None, styles: Mapping[str, Tensor], noise: str
    ) -> tuple[Tensor, Tensor | None]:
        """Features before ToRGB and the image so far, from those of the block below (None, None at the first)."""
        out: Tensor
        if x is None:
            out = self.conv1(self.const.expand(styles["conv1"].shape[0], -1, -1, -1), styles["conv1"], noise)
        elif self.config.architecture == "resnet":
            shortcut = upsampled(self.skip(x), self.config.resample_filter) * SQRT_HALF
            out = self.conv0(x, styles["conv0"], noise)
            out = shortcut + self.conv1(out, styles["conv1"], noise, gain=SQRT_HALF)
        else:
            out = self.conv1(self.conv0(x, styles["conv0"], noise), styles["conv1"], noise)
        if image is not None:
            image = upsampled(image, self.config.resample_filter)
        if hasattr(self, "torgb"):
            rgb = self.torgb(out, styles["torgb"])
            image = rgb if image is None else image + rgb
        return out, image


class Synthesised(NamedTuple):
    """What one call of the synthesis gives: image [B, 3, H, W], features {R: [B, C, R, R]}, styles {name: [B, C]}."""

    image: Tensor
    features: dict[int, Tensor]
    styles: dict[str, Tensor]


class Synthesis(nn.Module):
    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.resolutions = config.block_resolutions
        for resolution in self.resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(config, resolution))

    def forward(self, ws: Tensor, noise: str = "const") -> Synthesised:
        x = image = None
        features, styles = {}, {}
        first = 0
        for resolution in self.resolutions:
            block: Any = getattr(self, f"b{resolution}")
            own = {name: getattr(block, name).affine(ws[:, first + i]) for i, name in enumerate(block.layers())}
            x, image = block(x, image, own, noise)
            features[resolution] = x
            styles |= {f"b{resolution}.{name}": value for name, value in own.items()}
            first += 1 if resolution == 4 else 2
        assert image is not None
        return Synthesised(image, features, styles)


class Generator(nn.Module):
    """A StyleGAN2 generator with random weights: biases, noise strengths and w_avg too, so that each one counts."""

    def __init__(self, config: GeneratorConfig, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config = config
        self.mapping = MappingNetwork(
            config.z_dim,
            config.c_dim,
            config.w_dim,
            config.mapping_layers,
            config.mapping_features,
            config.embed_features,
            config.mapping_lr_multiplier,
        )
        self.mapping.register_buffer("w_avg", 0.5 * torch.randn(config.w_dim))
        self.synthesis = Synthesis(config)
        self.requires_grad_(False)

    def ws(self, z: Tensor, c: Tensor | None = None, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Latents [B, L, D]; the first `cutoff` layers (all without one) are pulled towards w_avg by `psi`."""
        ws = self.mapping(z, c)[:, None].repeat(1, self.config.num_ws, 1)
        w_avg = self.mapping.get_buffer("w_avg")
        ws[:, :cutoff] = w_avg.lerp(ws[:, :cutoff], psi)
        return ws
