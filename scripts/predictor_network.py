"""The predictor once more, in PyTorch with bfloat16 convolutions: what a CPU trains on at twice the speed.

Parameters have the names and shapes of `dragspace_jax.networks.parameters`, so what is trained here is the JAX
network's as it stands; `tests/scripts/test_predictor_network.py` holds the two to each other. `critter_synthesis` says
why there are two.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from dragspace_jax.critters import LANDMARKS, SEGMENTS
from dragspace_jax.critters.predictor import CELL, PATCH, PATCHES, SIDE
from scripts.critter_descent import Values


class Reading(NamedTuple):
    """As `critters.predictor.Reading`: landmarks_yx [B, P, 2], logits [B, 64, 64, segments], attributes [B, A]."""

    landmarks_yx: torch.Tensor
    logits: torch.Tensor
    attributes: torch.Tensor


def _convolution(values: Values, name: str, x: torch.Tensor, *, stride: int = 1) -> torch.Tensor:
    """x [B, I, h, w] → [B, O, h / stride, w / stride], padded as XLA does: at the end, where the stride is 2."""
    kernel = values[f"{name}.kernel"].permute(3, 2, 0, 1).to(x.dtype)
    if stride == 2:
        x = functional.pad(x, (0, 1, 0, 1))
    padding = kernel.shape[-1] // 2 if stride == 1 else 0
    return functional.conv2d(x, kernel, values[f"{name}.bias"].to(x.dtype), stride=stride, padding=padding)


def _active(values: Values, name: str, x: torch.Tensor, *, stride: int = 1) -> torch.Tensor:
    return functional.silu(_convolution(values, name, x, stride=stride))


def _dense(values: Values, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ values[f"{name}.kernel"] + values[f"{name}.bias"]


def _folded(images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Images [B, S, S, 3] → [B, 12, S / 2, S / 2]: four pixels each."""
    half = images.shape[1] // 2
    x = images.view(-1, half, 2, half, 2, 3).permute(0, 2, 4, 5, 1, 3).reshape(-1, 12, half, half)
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def _patches(images: torch.Tensor, landmarks_yx: torch.Tensor) -> torch.Tensor:
    """Images [B, 128, 128, 3] → [B·3, 24, 24, 3] around eyes and mouth."""
    middles = [landmarks_yx[:, [LANDMARKS.index(n) for n in names]].mean(1) for names, _ in PATCHES]
    offsets = (torch.arange(PATCH) - 0.5 * (PATCH - 1)) * torch.tensor([[spacing] for _, spacing in PATCHES])
    at = (torch.stack(middles, 1)[..., None] + offsets[None, :, None]).clamp(0.0, SIDE - 1.0)
    share = (1.0 - (at[..., None] - torch.arange(SIDE)).abs()).clamp_min(0.0)
    rows = torch.einsum("bkph,bhwc->bkpwc", share[:, :, 0], images)
    return torch.einsum("bkqw,bkpwc->bkpqc", share[:, :, 1], rows).reshape(-1, PATCH, PATCH, 3)


def _fine(values: Values, images: torch.Tensor, landmarks_yx: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What the patches show [B, F]."""
    x = _active(values, "patch12", _folded(_patches(images, landmarks_yx), dtype))
    x = _active(values, "patch3", _active(values, "patch6", x, stride=2), stride=2)
    x = x.permute(0, 2, 3, 1).reshape(len(images), len(PATCHES), -1).float()
    seen = [_dense(values, "eye", x[:, 0]), _dense(values, "eye", x[:, 1]), _dense(values, "mouth", x[:, 2])]
    return functional.silu(torch.cat(seen, 1))


def read(values: Values, images: torch.Tensor, dtype: torch.dtype = torch.bfloat16) -> Reading:
    """Images [B, 128, 128, 3] float32 in [-1, 1] → a reading, in float32; `values` are parameters by name."""
    count = len(images)
    x = _active(values, "stem", _folded(images, dtype))
    x32 = _active(values, "down32", x, stride=2)
    x32 = x32 + _active(values, "at32", x32)
    x16 = _active(values, "down16", x32, stride=2)
    x16 = x16 + _active(values, "at16", x16)
    x8 = _active(values, "down8", x16, stride=2)
    x8 = x8 + _active(values, "at8", x8)
    x = x16 + _doubled(_convolution(values, "narrow16", x8))
    x = x + _active(values, "up16", x)
    x = x32 + _doubled(_convolution(values, "narrow32", x))
    x = x + _active(values, "up32", x)
    x = _active(values, "last", x).float()
    cells = SIDE // CELL
    heat = functional.softmax(_convolution(values, "heat", x).view(count, len(LANDMARKS), -1), -1)
    centre = torch.arange(cells) * float(CELL) + 0.5 * (CELL - 1)
    places = torch.stack(torch.meshgrid(centre, centre, indexing="ij"), -1).view(-1, 2)
    landmarks = heat @ places
    around = heat @ x.permute(0, 2, 3, 1).reshape(count, cells * cells, -1)
    small = images.view(count, cells, CELL, cells, CELL, 3).mean((2, 4))
    hues = heat @ small.view(count, -1, 3)
    grid = small.view(count, 4, cells // 4, 4, cells // 4, 3).mean((2, 4))
    gathered = torch.cat([x8.float().mean((2, 3)), around.reshape(count, -1)], 1)
    level = functional.layer_norm(gathered, gathered.shape[1:], values["level.scale"], values["level.bias"], 1e-6)
    where = (landmarks.reshape(count, -1) - 0.5 * SIDE) / 16.0
    fine = _fine(values, images, landmarks.detach(), dtype)
    seen = torch.cat([level, fine, where, 2.0 * hues.reshape(count, -1), 2.0 * grid.reshape(count, -1)], 1)
    hidden = functional.silu(_dense(values, "head.hidden", seen))
    attributes = _dense(values, "head.attributes", functional.silu(_dense(values, "head.deeper", hidden)))
    logits = _convolution(values, "segments", x).view(count, 2, 2, len(SEGMENTS), cells, cells)
    logits = logits.permute(0, 4, 1, 5, 2, 3).reshape(count, 2 * cells, 2 * cells, len(SEGMENTS))
    return Reading(landmarks, logits, attributes)
