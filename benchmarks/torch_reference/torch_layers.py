"""Layers of the torch reference, and how its parameters go in and out by their published names.

Stored weights have unit variance; the run-time gain is applied on use. All random: biases too, so that each one counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SQRT_HALF = math.sqrt(0.5)


def second_moment_normalised(x: Tensor) -> Tensor:
    """x [B, K] with a mean square of 1 in each row."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def leaky(x: Tensor, gain: float = 1.0, clamp: float | None = None) -> Tensor:
    """Leaky ReLU times √2·gain, then the limit, which is scaled by `gain` but not by √2."""
    x = functional.leaky_relu(x, 0.2) * (math.sqrt(2) * gain)
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def filtered(x: Tensor, taps: Sequence[float], padding: tuple[int, int], up: int = 1, down: int = 1) -> Tensor:
    """Insert up-1 zeros after each pixel, pad (before, after), filter each channel by taps ⊗ taps, keep every down-th.

    The sum of the filter is up²; it is applied as a true convolution, so the taps are reversed.
    """
    batch, channels, height, width = x.shape
    if up > 1:
        x = x.reshape(batch, channels, height, 1, width, 1)
        x = functional.pad(x, (0, up - 1, 0, 0, 0, up - 1)).reshape(batch, channels, height * up, width * up)
    row = torch.tensor(tuple(taps), dtype=x.dtype, device=x.device).flip(0)
    kernel = torch.outer(row, row) * (up / row.sum()) ** 2
    x = functional.pad(x, (*padding, *padding))
    return functional.conv2d(x, kernel.expand(channels, 1, -1, -1), stride=down, groups=channels)


def upsampled(x: Tensor, taps: Sequence[float]) -> Tensor:
    return filtered(x, taps, (2, 1), up=2)


def downsampled(x: Tensor, taps: Sequence[float]) -> Tensor:
    return filtered(x, taps, (1, 1), down=2)


class Dense(nn.Module):
    """A dense layer whose weight and bias are multiplied by `lr_multiplier` on use."""

    def __init__(self, inputs: int, outputs: int, lr_multiplier: float = 1.0, bias_start: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(bias_start + 0.3 * torch.randn(outputs) / lr_multiplier)
        self.weight_gain = lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class Convolution(nn.Module):
    """A plain square convolution: bias and activation are the caller's, so that a 1×1 skip can do without."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(0.3 * torch.randn(outputs)) if bias else None
        self.gain = 1 / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor, stride: int = 1, padding: int | None = None) -> Tensor:
        padding = self.weight.shape[-1] // 2 if padding is None else padding
        return functional.conv2d(x, self.weight * self.gain, self.bias, stride=stride, padding=padding)


def modulated(x: Tensor, weight: Tensor, styles: Tensor, demodulate: bool, up: bool = False) -> Tensor:
    """Convolve each of x [B, I, H, W] with its own weight, weight [O, I, k, k] scaled by styles [B, I]."""
    batch, inputs, height, width = x.shape
    outputs, _, kernel, _ = weight.shape
    weights = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        weights = weights * (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, batch * inputs, height, width)
    if up:
        transposed = weights.transpose(1, 2).reshape(batch * inputs, outputs, kernel, kernel)
        x = functional.conv_transpose2d(x, transposed, stride=2, groups=batch)
    else:
        grouped = weights.reshape(batch * outputs, inputs, kernel, kernel)
        x = functional.conv2d(x, grouped, padding=kernel // 2, groups=batch)
    return x.reshape(batch, outputs, *x.shape[2:])


class MappingNetwork(nn.Module):
    """z [B, Z] (or none) and labels [B, c_dim] (or none) to w [B, D]; shared by both networks."""

    def __init__(
        self, z_dim: int, c_dim: int, w_dim: int, layers: int, hidden: int | None, embed: int | None, lr: float
    ) -> None:
        super().__init__()
        self.depth = layers
        embed = embed or w_dim
        if c_dim:
            self.embed = Dense(c_dim, embed)
        widths = [z_dim + (embed if c_dim else 0)] + [hidden or w_dim] * (layers - 1) + [w_dim]
        for i in range(layers):
            self.add_module(f"fc{i}", Dense(widths[i], widths[i + 1], lr))

    def forward(self, z: Tensor | None, c: Tensor | None) -> Tensor:
        parts = [] if z is None else [second_moment_normalised(z)]
        if hasattr(self, "embed"):
            assert c is not None, "this network is conditional: give labels"
            parts.append(second_moment_normalised(self.embed(c)))
        x = torch.cat(parts, 1)
        for i in range(self.depth):
            x = leaky(getattr(self, f"fc{i}")(x))
        return x


def load_published(module: nn.Module, parameters: Mapping[str, Any]) -> None:
    """Fill a network with arrays by their published names; the constant resample filters are the config's."""
    kept = {n: torch.as_tensor(p) for n, p in parameters.items() if not n.endswith("resample_filter")}
    module.load_state_dict(kept, strict=True)


def published(module: nn.Module) -> dict[str, Any]:
    """All parameters and buffers as numpy arrays by their published names."""
    return {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}
