"""One resolution of the synthesis network: up-sampling convolution, convolution, ToRGB.

Source: StyleGAN2 (arXiv 1912.04958), section 4 and figure 7 for the three architectures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from flax import nnx
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from dragspace_jax.networks.convolution import is_accelerator
from dragspace_jax.stylegan2.config import GeneratorConfig
from dragspace_jax.stylegan2.convolution import Kernel
from dragspace_jax.stylegan2.layers import Conv, Noise, SynthesisLayer, ToRGB
from dragspace_jax.stylegan2.resample import normalised_taps, upsample_valid
from dragspace_jax.stylegan2.tile import Tile, Window

Styles = Mapping[str, Float[Array, "B _"]]
"""Affine outputs by the name of their convolution: {"b4.conv1": [B, C], "b4.torgb": [B, C], …}."""
Kernels = Mapping[str, Kernel]
"""Weights made ready, by the name of their convolution; what is missing is made on the way."""
Known = Mapping[str, Tile]
"""What convolutions gave, before demodulation, by their name."""
Keys = tuple[PRNGKeyArray | None, PRNGKeyArray | None]
NO_KERNELS: Kernels = MappingProxyType({})
NOTHING_KNOWN: Known = MappingProxyType({})


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
        self, x: Tile, styles: Styles, *, noise: Noise, keys: Keys = (None, None), kernels: Kernels = NO_KERNELS
    ) -> Tile:
        """The block's output before ToRGB; x is the block below's, or a tile of the constant."""
        return self.stages(x, styles, noise=noise, keys=keys, kernels=kernels)[0]

    def stages(
        self,
        x: Tile,
        styles: Styles,
        *,
        noise: Noise,
        keys: Keys = (None, None),
        kernels: Kernels = NO_KERNELS,
        window: Window | None = None,
        known: Known = NOTHING_KNOWN,
    ) -> tuple[Tile, dict[str, Tile]]:
        """The block's output before ToRGB, and by name what its convolutions gave.

        Args:
          x: the block below's output, or a tile of the constant.
          styles, noise, keys, kernels: as in `Synthesis`.
          window: which part of the output is wanted, where x is a window that suffices for it.
          known: what the convolutions gave before on more positions: only derivatives are then computed.
        """
        gain = math.sqrt(0.5) if self.has_skip else 1.0
        y, sums = x, dict[str, Tile]()
        for name, key in zip(("conv0", "conv1"), keys, strict=True):
            if name == "conv0" and self.resolution == 4:
                continue
            layer: SynthesisLayer = getattr(self, name)
            full, style = f"b{self.resolution}.{name}", styles[f"b{self.resolution}.{name}"]
            kernel = kernels[full] if full in kernels else layer.kernel(y.values.dtype)
            between = None
            if name == "conv0" and window is not None:
                between = (window[0] - 1, window[1] + 2)
            early = between if is_accelerator(kernel.platform) else None
            sums[full] = layer.convolved(y, style, kernel, window=early, known=known.get(full))
            scale = gain if name == "conv1" else 1.0
            y = layer.activated(sums[full], style, kernel, noise=noise, key=key, gain=scale, window=early)
            if between is not None and early is None:
                y = y.window(*between)
        if not self.has_skip:
            return y, sums
        thin = x.with_values(self.skip(x.values)).for_stencil()
        raised = thin.doubled(upsample_valid(thin.values, self.taps))
        if y.origin_yx is not None:
            raised = raised.window(y.origin_yx, y.values.shape[1])
        return y.with_values(raised.values * gain + y.values), sums

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
