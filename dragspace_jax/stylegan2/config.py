"""Architectures as values: what a StyleGAN2 generator and discriminator are made of.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (arXiv 1912.04958),
and "Training GANs with Limited Data" (arXiv 2006.06676) for the settings' names.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Literal, Self, get_args

from dragspace_jax.networks.config import ConfigError, settings_from_json

Architecture = Literal["skip", "resnet", "orig"]


def block_resolutions(resolution: int) -> tuple[int, ...]:
    """Resolutions of all blocks, 4 up to `resolution`."""
    return tuple(2**i for i in range(2, resolution.bit_length()))


def channel_table(resolution: int, channel_base: int, channel_max: int) -> tuple[int, ...]:
    """Channels of the blocks 4, 8, …, `resolution`, by the published rule min(base / R, max)."""
    return tuple(min(channel_base // r, channel_max) for r in block_resolutions(resolution))


_WIDEST = 65_536
_RANGES = {
    "c_dim": (0, _WIDEST),
    "img_channels": (1, 1024),
    "z_dim": (1, _WIDEST),
    "w_dim": (1, _WIDEST),
    "mapping_layers": (0, 256),
    "mapping_features": (1, _WIDEST),
    "embed_features": (1, _WIDEST),
    "cmap_dim": (1, _WIDEST),
    "mbstd_group_size": (1, 2**30),
    "mbstd_num_channels": (0, _WIDEST),
}
_OPTIONAL_WIDTHS = ("mapping_features", "embed_features", "cmap_dim")


def _finite(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _is_width(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and 1 <= int(value) <= _WIDEST


@dataclasses.dataclass(frozen=True, kw_only=True)
class _NetworkConfig:
    resolution: int
    channels: tuple[int, ...]
    c_dim: int = 0
    img_channels: int = 3
    architecture: Architecture = "skip"
    conv_clamp: float | None = None
    resample_filter: tuple[float, ...] = (1.0, 3.0, 3.0, 1.0)

    def __post_init__(self) -> None:
        if isinstance(self.resolution, float) or self.resolution not in (8, 16, 32, 64, 128, 256, 512, 1024):
            raise ConfigError(f"resolution is {self.resolution}; it must be a power of two from 8 to 1024")
        # What a file holds need not be of the type that is said here.
        listed = isinstance(self.channels, tuple)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not listed or not all(_is_width(c) for c in self.channels):
            raise ConfigError(f"channels is {self.channels!r}; it must be a list of whole numbers from 1")
        if len(self.channels) != len(self.block_resolutions):
            raise ConfigError(
                f"channels has {len(self.channels)} entries; "
                f"a {self.resolution} px network has {len(self.block_resolutions)} blocks"
            )
        if self.architecture not in get_args(Architecture):
            raise ConfigError(f"architecture is {self.architecture!r}; known are {', '.join(get_args(Architecture))}")
        taps = self.resample_filter
        listed = isinstance(taps, tuple)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not listed or len(taps) != 4 or not all(map(_finite, taps)) or not sum(taps) > 0:
            raise ConfigError(f"resample_filter is {taps!r}; four numbers of positive sum are supported")
        if self.conv_clamp is not None and not (_finite(self.conv_clamp) and self.conv_clamp > 0):
            raise ConfigError(f"conv_clamp is {self.conv_clamp!r}; it must be a positive number or null")
        self._check_widths()

    def _check_widths(self) -> None:
        """Raises ConfigError if a count or a width is not a whole number in its range."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _OPTIONAL_WIDTHS and value is None:
                continue
            if field.name in _RANGES:
                least, most = _RANGES[field.name]
                if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
                    raise ConfigError(f"{field.name} is {value!r}; it must be a whole number from {least} to {most}")
            elif field.name == "use_noise" and not isinstance(value, bool):
                raise ConfigError(f"use_noise is {value!r}; it must be true or false")
            elif field.name == "mapping_lr_multiplier" and not (_finite(value) and value > 0):
                raise ConfigError(f"mapping_lr_multiplier is {value!r}; it must be a positive number")

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        return block_resolutions(self.resolution)

    def block_channels(self, resolution: int) -> int:
        """Channels of the block at `resolution`."""
        return self.channels[self.block_resolutions.index(resolution)]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises ConfigError on a missing or unknown setting."""
        return cls(**settings_from_json(cls, values))

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorConfig(_NetworkConfig):
    """A StyleGAN2 generator.

    Attributes:
      resolution: side of the image in pixels, a power of two from 8 to 1024.
      channels: channels of the blocks 4, 8, …, resolution.
      z_dim, c_dim, w_dim: widths of z, of the label (0: unconditional) and of w.
      architecture: `skip`, `resnet` or `orig`.
      conv_clamp: limit of the activations before their gain, or None.
      resample_filter: the separable filter's four taps, not normalised.
      use_noise: whether the convolutions add noise.
      mapping_layers: number of dense layers of the mapping network.
      mapping_features: width of its hidden layers; None means w_dim.
      embed_features: width of the label's embedding; None means w_dim.
      mapping_lr_multiplier: run-time gain of its weights and biases.
    """

    z_dim: int = 512
    w_dim: int = 512
    use_noise: bool = True
    mapping_layers: int = 8
    mapping_features: int | None = None
    embed_features: int | None = None
    mapping_lr_multiplier: float = 0.01

    @property
    def has_windows(self) -> bool:
        """Whether features can be had near points alone: convolutions are local."""
        return True

    @property
    def num_ws(self) -> int:
        """Number L of w vectors: 2·log2(resolution) − 2."""
        return 2 * len(self.block_resolutions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig(_NetworkConfig):
    """A StyleGAN2 discriminator; `channels` again from block 4 upwards.

    Attributes:
      cmap_dim: width of the mapped label; None means channels[0]; unused when c_dim is 0.
      mapping_layers: dense layers that map the label.
      mapping_features: width of that mapping's hidden layers; None means cmap_dim.
      embed_features: width of the label's embedding; None means cmap_dim.
      mapping_lr_multiplier: run-time gain of its weights and biases.
      mbstd_group_size: images in one group of the minibatch standard deviation.
      mbstd_num_channels: channels it adds before the 4×4 convolution.
    """

    architecture: Architecture = "resnet"
    cmap_dim: int | None = None
    mapping_layers: int = 8
    mapping_features: int | None = None
    embed_features: int | None = None
    mapping_lr_multiplier: float = 0.01
    mbstd_group_size: int = 4
    mbstd_num_channels: int = 1
