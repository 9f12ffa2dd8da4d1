"""The discriminator.

Source: StyleGAN2 (arXiv 1912.04958), figure 7; labels by projection as in arXiv 2006.06676, appendix D.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dragspace_jax.stylegan2.config import DiscriminatorConfig
from dragspace_jax.stylegan2.layers import LRELU_GAIN, Conv, Dense, leaky_relu
from dragspace_jax.stylegan2.mapping import Mapping
from dragspace_jax.stylegan2.resample import filter_valid, normalised_taps


def _pad(x: Float[Array, "B h w C"], margin: int) -> Float[Array, "B h+2*{margin} w+2*{margin} C"]:
    return jnp.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


class DiscriminatorBlock(nnx.Module):
    """Two convolutions, the second one filtered and strided down; `resnet` adds the 1×1 skip path."""

    def __init__(self, config: DiscriminatorConfig, resolution: int, *, rngs: nnx.Rngs):
        channels, out = config.block_channels(resolution), config.block_channels(resolution // 2)
        self.has_fromrgb = config.architecture == "skip" or resolution == config.resolution
        if self.has_fromrgb:
            self.fromrgb = Conv(config.img_channels, channels, 1, rngs=rngs)
        self.conv0 = Conv(channels, channels, 3, rngs=rngs)
        self.conv1 = Conv(channels, out, 3, rngs=rngs)
        self.has_skip = config.architecture == "resnet"
        if self.has_skip:
            self.skip = Conv(channels, out, 1, rngs=rngs, bias=False)
        self.taps = normalised_taps(config.resample_filter, gain=1.0)
        self.clamp, self.keeps_image = config.conv_clamp, config.architecture == "skip"

    def __call__(
        self, x: Float[Array, "B R R C"] | None, image: Float[Array, "B R R img_channels"] | None
    ) -> tuple[Float[Array, "B R//2 R//2 O"], Float[Array, "B R//2 R//2 img_channels"] | None]:
        """Features, None at the top, and the image, where there still is one, to those of half the side."""
        if self.has_fromrgb:
            assert image is not None  # given at the top, and kept by `skip`
            seen = leaky_relu(self.fromrgb(image), clamp=self.clamp)
            x = seen if x is None else x + seen
            image = filter_valid(_pad(image, 1), self.taps, stride=2) if self.keeps_image else None
        assert x is not None  # the top block makes it from the image
        gain = math.sqrt(0.5) if self.has_skip else 1.0
        limit = None if self.clamp is None else self.clamp * gain
        y = leaky_relu(self.conv0(_pad(x, 1)), clamp=self.clamp)
        y = leaky_relu(self.conv1(filter_valid(_pad(y, 2), self.taps), stride=2), LRELU_GAIN * gain, limit)
        if self.has_skip:
            y = self.skip(filter_valid(_pad(x, 1), self.taps, stride=2)) * gain + y
        return y, image


def append_minibatch_stddev(
    x: Float[Array, "B h w C"], group_size: int, channels: int
) -> Float[Array, "B h w C+{channels}"]:
    """Add `channels` maps of the standard deviation over groups of images.

    Image b belongs to group b mod (B / group_size). Source: arXiv 1710.10196, section 3.
    """
    batch, height, width, width_c = x.shape
    group = min(group_size, batch)
    if batch % group:
        raise ValueError(f"a batch of {batch} images does not divide into groups of {group}")
    y = x.reshape(group, batch // group, height, width, channels, width_c // channels)
    deviation = jnp.sqrt(jnp.var(y, 0) + 1e-8).mean((1, 2, 4))  # [B / group, channels]
    maps = jnp.tile(deviation, (group, 1))[:, None, None, :]
    return jnp.concatenate([x, jnp.broadcast_to(maps, (batch, height, width, channels))], 3)


class DiscriminatorEpilogue(nnx.Module):
    """The 4×4 end: minibatch standard deviation, convolution, two dense layers."""

    def __init__(self, config: DiscriminatorConfig, cmap_dim: int, *, rngs: nnx.Rngs):
        channels = config.block_channels(4)
        self.has_fromrgb = config.architecture == "skip"
        if self.has_fromrgb:
            self.fromrgb = Conv(config.img_channels, channels, 1, rngs=rngs)
        self.conv = Conv(channels + config.mbstd_num_channels, channels, 3, rngs=rngs)
        self.fc = Dense(channels * 16, channels, rngs=rngs, activate=True)
        self.out = Dense(channels, cmap_dim if config.c_dim > 0 else 1, rngs=rngs)
        self.group_size, self.stddev_channels = config.mbstd_group_size, config.mbstd_num_channels
        self.clamp = config.conv_clamp

    def __call__(
        self, x: Float[Array, "B 4 4 C"], image: Float[Array, "B 4 4 img_channels"] | None
    ) -> Float[Array, "B O"]:
        """The features at 4 px → [B, 1] or [B, cmap_dim]."""
        if self.has_fromrgb:
            assert image is not None  # kept by `skip`
            x = x + leaky_relu(self.fromrgb(image))  # the published network does not clamp this one
        if self.stddev_channels > 0:
            x = append_minibatch_stddev(x, self.group_size, self.stddev_channels)
        x = leaky_relu(self.conv(_pad(x, 1)), clamp=self.clamp)
        flat = jnp.transpose(x, (0, 3, 1, 2)).reshape(x.shape[0], -1)  # channel first, as published
        return self.out(self.fc(flat))


class Discriminator(nnx.Module):
    """A StyleGAN2 discriminator."""

    def __init__(self, config: DiscriminatorConfig, *, rngs: nnx.Rngs):
        self.config = config
        cmap_dim = config.block_channels(4) if config.cmap_dim is None else config.cmap_dim
        for resolution in config.block_resolutions[:0:-1]:
            setattr(self, f"b{resolution}", DiscriminatorBlock(config, resolution, rngs=rngs))
        self.b4 = DiscriminatorEpilogue(config, cmap_dim, rngs=rngs)
        if config.c_dim > 0:
            self.mapping = Mapping(
                z_dim=0,
                c_dim=config.c_dim,
                w_dim=cmap_dim,
                num_ws=None,
                layers=config.mapping_layers,
                features=config.mapping_features,
                embed_features=config.embed_features,
                lr_multiplier=config.mapping_lr_multiplier,
                rngs=rngs,
            )

    def __call__(
        self, images: Float[Array, "B H W C"], c: Float[Array, "B c_dim"] | None = None
    ) -> Float[Array, "B 1"]:
        """Images and labels c to logits."""
        side = self.config.resolution
        if images.ndim != 4 or images.shape[1:] != (side, side, self.config.img_channels):
            raise ValueError(f"images have shape {images.shape}; the model takes [B, {side}, {side}, 3]")
        x: Array | None = None
        image: Array | None = images
        for resolution in self.config.block_resolutions[:0:-1]:
            x, image = getattr(self, f"b{resolution}")(x, image)
        assert x is not None  # every model has a block above 4 px
        logits = self.b4(x, image)
        if self.config.c_dim > 0:
            label = self.mapping.trunk(None, c)
            logits = jnp.sum(logits * label, 1, keepdims=True) / math.sqrt(label.shape[1])
        return logits
