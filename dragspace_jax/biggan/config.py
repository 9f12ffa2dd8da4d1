"""The architecture of a BigGAN-deep generator as a value.

Source: "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (arXiv 1809.11096), appendix B, figure 16
and tables 7 to 9; the settings' names are those of the package `pytorch-pretrained-biggan`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Self

from dragspace_jax.networks.config import ConfigError, settings_from_json

REDUCTION = 4
"""A block's middle layers have a quarter of the channels that it takes (appendix B)."""
FIRST = 16
"""Channels of the 4 px map, in multiples of the width."""
_WIDEST = 65_536
_MOST_LAYERS = 64
Layer = tuple[bool, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BigGANConfig:
    """A BigGAN-deep generator.

    Attributes:
      resolution: side of the image in pixels; 4 px doubled by every layer that up-samples.
      layers: (whether it up-samples, channels in, channels out) of each residual block, channels in multiples of
        `channel_width`.
      attention_layer_position: the block before which the self-attention stands; none, if there is no such block.
      channel_width: channels of the last block's output.
      z_dim: width Z of z, and of the class embedding.
      num_classes: number of classes.
      eps: added to the variances of the batch norms.
      n_stats: sets S of batch-norm statistics, for truncations evenly spaced from 0 to 1.
    """

    resolution: int
    layers: tuple[Layer, ...]
    attention_layer_position: int = 8
    channel_width: int = 128
    z_dim: int = 128
    num_classes: int = 1000
    eps: float = 1e-4
    n_stats: int = 51

    def __post_init__(self) -> None:
        limits = {
            "channel_width": (3, 4096),
            "z_dim": (1, _WIDEST),
            "num_classes": (1, _WIDEST),
            "n_stats": (2, 10_001),
        }
        for name, (least, most) in limits.items():
            _check_whole(name, getattr(self, name), least, most)
        _check_whole("attention_layer_position", self.attention_layer_position, 0, 1_000_000)
        if isinstance(self.eps, bool) or not isinstance(self.eps, Real) or not 0 < self.eps < 1:  # pyright: ignore[reportUnnecessaryIsInstance]  # files
            raise ConfigError(f"eps is {self.eps!r}; it must be a number between 0 and 1")
        self._check_layers()
        side = 4 * 2 ** sum(up for up, _, _ in self.layers)
        if type(self.resolution) is not int or self.resolution != side:
            raise ConfigError(f"resolution is {self.resolution!r}; {len(self.layers)} layers lead to {side} px")

    def _check_layers(self) -> None:
        """Raises ConfigError unless the layers make a chain from 4 px to the image."""
        layers: Any = self.layers  # what a file holds need not be of the type that is said here
        plain = isinstance(layers, tuple) and 1 <= len(layers) <= _MOST_LAYERS
        if not plain or not all(_is_layer(layer) for layer in layers):
            raise ConfigError("layers must be a list of [up-samples, channels in, channels out]")
        if sum(up for up, _, _ in layers) > 8:
            raise ConfigError("layers up-sample more than 8 times; images have at most 1024 px")
        channels = FIRST
        for number, (_, first, last) in enumerate(layers):
            if first != channels or last not in (first, first / 2):
                raise ConfigError(
                    f"layer {number} leads from {first} to {last} channels; it must begin with {channels} and keep "
                    "or halve them"
                )
            if first * self.channel_width % REDUCTION:
                raise ConfigError(
                    f"layer {number} has {first * self.channel_width} channels, no multiple of {REDUCTION}"
                )
            channels = last
        if channels != 1:
            raise ConfigError(f"the last layer ends with {channels} times the width; it must end with the width itself")
        if self.has_attention and self.attention_channels % 8:
            raise ConfigError(f"the self-attention has {self.attention_channels} channels, no multiple of 8")

    @property
    def c_dim(self) -> int:
        """Number of classes, as all families have it."""
        return self.num_classes

    @property
    def has_attention(self) -> bool:
        """Whether there is a self-attention."""
        return self.attention_layer_position < len(self.layers)

    @property
    def attention_channels(self) -> int:
        """Of the map that the self-attention works on."""
        return self.layers[self.attention_layer_position][1] * self.channel_width

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        """Sides of the feature maps that a drag may follow."""
        return tuple(2**i for i in range(2, self.resolution.bit_length()))

    @property
    def has_windows(self) -> bool:
        """Whether features can be had near points alone: the self-attention sees all of the map."""
        return False

    def block_channels(self, resolution: int) -> int:
        """Channels of the feature map at `resolution`: the output of the last block of that size."""
        return self._ends()[resolution][1]

    def last_block(self, resolution: int) -> int:
        """Index of the last residual block whose output has this size."""
        return self._ends()[resolution][0]

    def _ends(self) -> dict[int, tuple[int, int]]:
        side, found = 4, dict[int, tuple[int, int]]()
        for index, (up, _, last) in enumerate(self.layers):
            side *= 2 if up else 1
            found[side] = (index, last * self.channel_width)
        return {4: (-1, FIRST * self.channel_width), **found}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises ConfigError on a missing or unknown setting, or one out of range."""
        return cls(**settings_from_json(cls, values))

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        return dataclasses.asdict(self)


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number from {least} to {most}")


def _is_layer(layer: object) -> bool:
    if not isinstance(layer, tuple) or len(layer) != 3:
        return False
    up, first, last = layer
    return isinstance(up, bool) and all(type(size) is int and 1 <= size <= FIRST for size in (first, last))
