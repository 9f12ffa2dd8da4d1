"""The synthesis network once more, in PyTorch with bfloat16 convolutions: what a CPU trains on at twice the speed.

XLA multiplies patches, a third of a CPU's peak at 128 px; PyTorch's convolutions take no patches and use the bfloat16
instructions. Parameters have the names and shapes of `dragspace_jax.networks.parameters`, so what is trained here is
the JAX model's as it stands; `tests/scripts/test_critter_synthesis.py` holds the two to each other.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

TAPS = torch.tensor([0.25, 0.75, 0.75, 0.25])  # of the up-sampling filter, per axis
Parameters = dict[str, torch.Tensor]


def _dense(values: Parameters, name: str, w: torch.Tensor) -> torch.Tensor:
    weight = values[f"{name}.weight"]
    return w @ (weight / math.sqrt(weight.shape[0])) + values[f"{name}.bias"]


def _layer(
    values: Parameters, name: str, x: torch.Tensor, w: torch.Tensor, dtype: torch.dtype, *, up: bool
) -> torch.Tensor:
    """Modulated 3×3 convolution, bias, activation: x [B, I, h, w'] → [B, O, h, w'], or twice the side with `up`."""
    style = _dense(values, f"{name}.affine", w)
    weight = values[f"{name}.weight"]  # [3, 3, I, O]
    demodulation = torch.rsqrt(style.square() @ weight.square().sum((0, 1)) + 1e-8)
    x = x * style.to(dtype)[:, :, None, None]
    if up:
        y = functional.conv_transpose2d(x, weight.permute(2, 3, 0, 1).to(dtype), stride=2)
        filters = torch.outer(TAPS, TAPS).to(dtype).expand(y.shape[1], 1, 4, 4)
        y = functional.conv2d(y, filters, padding=1, groups=y.shape[1])
    else:
        y = functional.conv2d(x, weight.permute(3, 2, 0, 1).to(dtype), padding=1)
    y = y * (math.sqrt(2.0) * demodulation).to(dtype)[:, :, None, None]
    return functional.leaky_relu(y + (math.sqrt(2.0) * values[f"{name}.bias"]).to(dtype)[None, :, None, None], 0.2)


def synthesise(values: Parameters, ws: torch.Tensor, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    """W+ [B, L, D] → images [B, 3, R, R] float32, of a skip architecture without noise.

    `values` are parameters by name, without the `synthesis.` in front.
    """
    resolutions = sorted(int(name[1 : name.index(".")]) for name in values if name.endswith("torgb.bias"))
    const = values["b4.const"].permute(2, 0, 1).to(dtype)
    x = const.expand(len(ws), *const.shape).contiguous(memory_format=torch.channels_last)
    image, layer = None, 0
    for resolution in resolutions:
        block = f"b{resolution}"
        for name in ("conv0", "conv1") if resolution > 4 else ("conv1",):
            x = _layer(values, f"{block}.{name}", x, ws[:, layer], dtype, up=name == "conv0")
            layer += 1
        style = _dense(values, f"{block}.torgb.affine", ws[:, layer]) / math.sqrt(x.shape[1])
        colours = style[:, :, None] * values[f"{block}.torgb.weight"][0, 0]  # [B, I, 3]
        own = torch.matmul(colours.transpose(1, 2).to(dtype), x.permute(0, 2, 3, 1).reshape(len(x), -1, x.shape[1]).mT)
        own = own.float().view(len(x), -1, resolution, resolution) + values[f"{block}.torgb.bias"][:, None, None]
        if image is not None:
            filters = torch.outer(TAPS, TAPS).expand(3, 1, 4, 4)
            own = own + functional.conv_transpose2d(image, filters, stride=2, padding=1, groups=3)
        image = own
    assert image is not None
    return image
