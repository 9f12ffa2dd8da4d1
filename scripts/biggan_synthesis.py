"""BigGAN-deep once more, in PyTorch, in which the embedded models are trained (`critter_synthesis` says why).

Parameters have the names and layouts of `dragspace_jax.biggan`, with unit variance (`gain_of`); with their gains folded
in they are the JAX model's. `tests/biggan/test_synthesis.py` holds the two to each other. Batch norms divide by given
statistics, which are measured on the way: a batch of few images has no statistics of its own worth the name, and
gradients through them would tie the images of a batch together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from dragspace_jax.biggan import BigGANConfig

Parameters = Mapping[str, torch.Tensor]
Statistics = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""{batch norm: mean and variance of its channels}."""
SMALL = "small"
"""Name of the second head, which makes an image of half the size where the last block does not run; not exported."""


class Synthesis:
    """A BigGAN-deep of parameters by name.

    Attributes:
      values: the parameters.
      statistics: of every batch norm; those that are missing are measured when they are first needed.
      decay: of the statistics, when they are measured again; 1: they are held.
    """

    def __init__(self, config: BigGANConfig, values: Parameters, statistics: Statistics, decay: float = 1.0):
        self.config, self.values, self.statistics, self.decay = config, values, statistics, decay

    def images(
        self, z: torch.Tensor, labels: torch.Tensor, *, small: bool = False, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """z [B, Z] and one-hot labels → images [B, 3, R, R] float32, of half the size by the second head if `small`."""
        condition = torch.cat([z, labels @ self._weight("embeddings")], 1)
        first = condition @ self._weight("generator.gen_z") + self.values["generator.gen_z.bias"]
        x = first.view(len(z), 4, 4, -1).permute(0, 3, 1, 2).to(dtype)
        place = 0
        for index, (up, _, last) in enumerate(self.config.layers[: -1 if small else None]):
            if index == self.config.attention_layer_position:
                x = self._attention(f"generator.layers.{place}", x)
                place += 1
            x = self._block(f"generator.layers.{place}", x, condition, last * self.config.channel_width, up=up)
            place += 1
        head = SMALL if small else "generator"
        gain, offset = (self.values[f"{head}.bn.{part}"].expand(len(z), -1) for part in ("weight", "bias"))
        x = functional.relu(self._normalised(f"{head}.bn", x, gain, offset))
        return torch.tanh(self._convolved(f"{head}.conv_to_rgb", x).float())

    def _block(self, name: str, x: torch.Tensor, condition: torch.Tensor, channels: int, *, up: bool) -> torch.Tensor:
        y = x
        for i in range(4):
            norm = f"{name}.bn_{i}"
            gain = 1.0 + condition @ self._weight(f"{norm}.scale")
            y = functional.relu(self._normalised(norm, y, gain, condition @ self._weight(f"{norm}.offset")))
            if i == 1 and up:
                y = functional.interpolate(y, scale_factor=2, mode="nearest")
            y = self._convolved(f"{name}.conv_{i}", y)
        x = x[:, :channels]
        return y + (functional.interpolate(x, scale_factor=2, mode="nearest") if up else x)

    def _attention(self, name: str, x: torch.Tensor) -> torch.Tensor:
        parts = [self._convolved(f"{name}.snconv1x1_{part}", x) for part in ("theta", "phi", "g")]
        queries = parts[0].flatten(2).mT
        keys, values = (functional.max_pool2d(part, 2).flatten(2) for part in parts[1:])
        shares = torch.softmax((queries @ keys).float(), -1).to(x.dtype)
        found = (values @ shares.mT).view(len(x), -1, *x.shape[2:])
        return x + self.values[f"{name}.gamma"].to(x.dtype) * self._convolved(f"{name}.snconv1x1_o_conv", found)

    def _convolved(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self._weight(name).permute(3, 2, 0, 1), self.values.get(f"{name}.bias")
        bias = None if bias is None else bias.to(x.dtype)
        return functional.conv2d(x, weight.to(x.dtype), bias, padding=weight.shape[2] // 2)

    def _weight(self, name: str) -> torch.Tensor:
        weight = self.values[f"{name}.weight"]
        return weight * gain_of(f"{name}.weight", weight.shape)

    def _normalised(self, name: str, x: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        if self.decay < 1.0 or name not in self.statistics:
            self._measure(name, x.detach().float())
        mean, variance = self.statistics[name]
        scale = gain / torch.sqrt(variance + self.config.eps)
        shift = offset - mean * scale
        return torch.addcmul(shift.to(x.dtype)[:, :, None, None], x, scale.to(x.dtype)[:, :, None, None])

    def _measure(self, name: str, x: torch.Tensor) -> None:
        measured = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        known = self.statistics.get(name, measured)
        self.statistics[name] = tuple(torch.lerp(new, old, self.decay) for old, new in zip(known, measured))  # type: ignore[assignment]  # noqa: B905


def initial_values(config: BigGANConfig, shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Random parameters of these shapes and the second head's: unit variance, and no statistics."""
    generator = torch.Generator().manual_seed(seed)
    last = config.layers[-1][1] * config.channel_width
    head = {f"{SMALL}.bn.weight": (last,), f"{SMALL}.bn.bias": (last,)}
    head |= {f"{SMALL}.conv_to_rgb.weight": (3, 3, last, 3), f"{SMALL}.conv_to_rgb.bias": (3,)}
    values = dict[str, torch.Tensor]()
    for name, shape in {**shapes, **head}.items():
        if "running_" in name:
            continue
        if len(shape) > 1:
            values[name] = torch.randn(shape, generator=generator)
        else:
            values[name] = torch.full(shape, {"weight": 1.0, "gamma": 0.1}.get(name.rpartition(".")[2], 0.0))
    return values


def gain_of(name: str, shape: Sequence[int]) -> float:
    """What a weight is multiplied by on use: they are trained with unit variance, so that one rate serves all.

    Equalised learning rate (arXiv 1710.10196, section 4.1); gains and offsets of batch norms begin small.
    """
    if len(shape) < 2:
        return 1.0
    return (0.3 if ".scale." in name or ".offset." in name else 1.0) / math.sqrt(math.prod(shape[:-1]))


def by_muon(name: str, value: torch.Tensor) -> bool:
    """Whether Muon moves a parameter: all matrices but the images' convolutions and the classes."""
    return value.ndim > 1 and "conv_to_rgb" not in name and not name.startswith("embeddings")
