"""One resolution of the synthesis network: up-sampling convolution, convolution, ToRGB.

Source: StyleGAN2 (arXiv 1912.04958), section 4 and figure 7 for the three architectures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from flax import nnx
from jaxtyping import Array, Float, Float32, Int32, PRNGKeyArray

from dragspace_jax.stylegan2.config import GeneratorConfig
from dragspace_jax.stylegan2.convolution import Kernel
from dragspace_jax.stylegan2.layers import Conv, Noise, SynthesisLayer, ToRGB
from dragspace_jax.stylegan2.resample import normalised_taps, upsample_valid
from dragspace_jax.stylegan2.tile import Tile

Styles = Mapping[str, Float[Array, "B _"]]
"""Affine outputs by the name of their convolution: {"b4.conv1": [B, C], "b4.torgb": [B, C], …}."""
Kernels = Mapping[str, Kernel]
"""Weights made ready, by the name of their convolution; what is missing is made on the way."""
Keys = tuple[PRNGKeyArray | None, PRNGKeyArray | None]
NO_KERNELS: Kernels = MappingProxyType({})


class SynthesisBlock(nnx.Module):
    """One resolution: up-sampling convolution, convolution, ToRGB where the architecture has one."""

    def __init__(self, config: GeneratorConfig, resolution: int, *, rngs: nnx.Rngs):
        channels = config.block_channels(resolution)
        below = channels if resolution == 4 else config.block_channels(resolution // 2)
        taps = normalised_taps(config.resample_filter, gain=2.0)
        layer = partial(SynthesisLayer, rngs=rngs, clamp=config.conv_clamp, use_noise=config.use_noise)
        if resolution == 4:
            self.const = nnx.Param(rngs.params.normal((4, 4, channels)))
        else:
            self.conv0 = layer(below, channels, config.w_dim, resolution, up=taps)
        self.conv1 = layer(channels, channels, config.w_dim, resolution, up=None)
        self.has_torgb = config.architecture == "skip" or resolution == config.resolution
        if self.has_torgb:
            self.torgb = ToRGB(channels, config.img_channels, config.w_dim, rngs=rngs, clamp=config.conv_clamp)
        self.has_skip = config.architecture == "resnet" and resolution > 4
        if self.has_skip:
            self.skip = Conv(below, channels, 1, rngs=rngs, bias=False)
        self.resolution, self.taps = resolution, taps

    def convolution_names(self) -> list[str]:
        """Names of this block's modulated convolutions, in the order of W+."""
        names = ["conv1"] if self.resolution == 4 else ["conv0", "conv1"]
        return [*names, "torgb"] if self.has_torgb else names

    def features(
        self,
        x: Tile,
        styles: Styles,
        *,
        noise: Noise,
        keys: Keys = (None, None),
        kernels: Kernels = NO_KERNELS,
        window: tuple[Int32[Array, "N 2"], int] | None = None,
    ) -> Tile:
        """The block's output before ToRGB; x is the block below's, or a tile of the constant.

        `window` (origin, side) says which part of the output is wanted, where x is a window that suffices for it.
        """
        name = f"b{self.resolution}"
        conv0, conv1 = f"{name}.conv0", f"{name}.conv1"
        if self.resolution == 4:
            return self.conv1(x, styles[conv1], noise=noise, key=keys[1], kernel=kernels.get(conv1))
        gain = math.sqrt(0.5) if self.has_skip else 1.0
        y = self.conv0(x, styles[conv0], noise=noise, key=keys[0], kernel=kernels.get(conv0))
        if window is not None:
            y = y.window(window[0] - 1, window[1] + 2)
        y = self.conv1(y, styles[conv1], noise=noise, key=keys[1], kernel=kernels.get(conv1), gain=gain)
        if not self.has_skip:
            return y
        thin = x.with_values(self.skip(x.values)).for_stencil()
        raised = thin.doubled(upsample_valid(thin.values, self.taps))
        if y.origin_yx is not None:
            raised = raised.window(y.origin_yx, y.values.shape[1])
        return y.with_values(raised.values * gain + y.values)

    def image(
        self, below: Float32[Array, "B r r img_channels"] | None, x: Tile, styles: Styles
    ) -> Float32[Array, "B R R img_channels"] | None:
        """Add this block's ToRGB to the up-sampled image of the block below (whole maps)."""
        if below is not None:
            below = upsample_valid(Tile.whole(below).for_stencil().values, self.taps)
        if not self.has_torgb:
            return below
        own = self.torgb(x, styles[f"b{self.resolution}.torgb"])
        return own if below is None else below + own
