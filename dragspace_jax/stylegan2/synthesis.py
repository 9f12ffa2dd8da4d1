"""The synthesis network: W+ or styles to features and an image.

Source: StyleGAN2 (arXiv 1912.04958), section 4 and figure 7 for the three architectures.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from dragspace_jax.stylegan2.config import GeneratorConfig
from dragspace_jax.stylegan2.layers import Conv, Noise, SynthesisLayer, ToRGB
from dragspace_jax.stylegan2.resample import normalised_taps, upsample_valid
from dragspace_jax.stylegan2.tile import Tile

Styles = Mapping[str, jax.Array]
"""Affine outputs by the name of their convolution: {"b4.conv1": [B, C], "b4.torgb": [B, C], …}."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthesisOutput:
    """What one call computed.

    Attributes:
      image: [B, H, W, 3] float32, nominally in [-1, 1]; None if the call stopped below the top.
      features: {R: [B, R, R, C]}, each block's output before ToRGB.
      styles: the styles that were used.
    """

    image: jax.Array | None
    features: dict[int, jax.Array]
    styles: dict[str, jax.Array]


class SynthesisBlock(nnx.Module):
    """One resolution: up-sampling convolution, convolution, ToRGB where the architecture has one."""

    def __init__(self, config: GeneratorConfig, resolution: int, *, rngs: nnx.Rngs):
        channels = config.block_channels(resolution)
        below = channels if resolution == 4 else config.block_channels(resolution // 2)
        taps = normalised_taps(config.resample_filter, gain=2.0)
        layer = {"rngs": rngs, "clamp": config.conv_clamp, "use_noise": config.use_noise}
        if resolution == 4:
            self.const = nnx.Param(rngs.params.normal((4, 4, channels)))
        else:
            self.conv0 = SynthesisLayer(below, channels, config.w_dim, resolution, up=taps, **layer)
        self.conv1 = SynthesisLayer(channels, channels, config.w_dim, resolution, up=None, **layer)
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

    def features(self, x: Tile, styles: Styles, *, noise: Noise, keys: list[jax.Array | None]) -> Tile:
        """The block's output before ToRGB; x is the block below's, or a tile of the constant."""
        name = f"b{self.resolution}"
        if self.resolution == 4:
            return self.conv1(x, styles[f"{name}.conv1"], noise=noise, key=keys[1])
        gain = math.sqrt(0.5) if self.has_skip else 1.0
        y = self.conv0(x, styles[f"{name}.conv0"], noise=noise, key=keys[0])
        y = self.conv1(y, styles[f"{name}.conv1"], noise=noise, key=keys[1], gain=gain)
        if not self.has_skip:
            return y
        thin = x.with_values(self.skip(x.values)).for_stencil()
        raised = thin.doubled(upsample_valid(thin.values, self.taps)).values
        # A window that went through conv1 has lost a further pixel on each side.
        margin = (raised.shape[1] - y.values.shape[1]) // 2
        side = slice(margin, raised.shape[1] - margin)
        return y.with_values(raised[:, side, side] * gain + y.values)

    def image(self, below: jax.Array | None, x: Tile, styles: Styles) -> jax.Array | None:
        """Add this block's ToRGB to the up-sampled image of the block below (whole maps)."""
        if below is not None:
            below = upsample_valid(Tile.whole(below).for_stencil().values, self.taps)
        if not self.has_torgb:
            return below
        own = self.torgb(x, styles[f"b{self.resolution}.torgb"])
        return own if below is None else below + own


class Synthesis(nnx.Module):
    """All blocks, 4 up to the image's resolution."""

    def __init__(self, config: GeneratorConfig, *, rngs: nnx.Rngs):
        self.config = config
        for resolution in config.block_resolutions:
            setattr(self, f"b{resolution}", SynthesisBlock(config, resolution, rngs=rngs))

    def block(self, resolution: int) -> SynthesisBlock:
        return getattr(self, f"b{resolution}")

    def layer_of(self) -> dict[str, int]:
        """{name of a convolution: index of the W+ layer that feeds it}; a ToRGB shares its successor's."""
        layers, index = {}, 0
        for resolution in self.config.block_resolutions:
            for name in self.block(resolution).convolution_names():
                layers[f"b{resolution}.{name}"] = index
                index += name != "torgb"
        return layers

    def styles(self, ws: jax.Array, names: Collection[str] | None = None) -> dict[str, jax.Array]:
        """The affine maps: ws [B, L, D] → {name: [B, C]} for `names` (None: all convolutions).

        Raises:
          ValueError: ws does not fit the model.
        """
        if ws.ndim != 3 or ws.shape[1:] != (self.config.num_ws, self.config.w_dim):
            raise ValueError(f"ws has shape {ws.shape}; the model takes [B, {self.config.num_ws}, {self.config.w_dim}]")
        found = {}
        for name, layer in self.layer_of().items():
            if names is None or name in names:
                block, convolution = name.split(".")
                found[name] = getattr(getattr(self, block), convolution).affine(ws[:, layer])
        return found

    def __call__(
        self,
        ws: jax.Array,
        *,
        noise: Noise = "const",
        key: jax.Array | None = None,
        features: Collection[int] = (),
        stop_at: int | None = None,
        dtype: jnp.dtype | type = jnp.float32,
    ) -> SynthesisOutput:
        """ws [B, L, D] → image, features, styles; see `render`. Styles above `stop_at` are not computed."""
        names = None if stop_at is None else self.names_up_to(stop_at)
        return self.render(
            self.styles(ws, names), noise=noise, key=key, features=features, stop_at=stop_at, dtype=dtype
        )

    def names_up_to(self, resolution: int) -> list[str]:
        """The convolutions that the features at `resolution` depend on (no ToRGB)."""
        below = [f"b{r}." for r in self.config.block_resolutions if r <= resolution]
        return [n for n in self.layer_of() if n.startswith(tuple(below)) and not n.endswith("torgb")]

    def render(
        self,
        styles: Styles,
        *,
        noise: Noise = "const",
        key: jax.Array | None = None,
        features: Collection[int] = (),
        stop_at: int | None = None,
        dtype: jnp.dtype | type = jnp.float32,
    ) -> SynthesisOutput:
        """Styles to image and features.

        Args:
          styles: {name: [B, C]}; with `stop_at`, only the convolutions below are needed.
          noise: `const` (the stored maps), `random` (needs `key`) or `none`.
          key: a JAX random key for random noise.
          features: the resolutions whose block outputs are wanted.
          stop_at: the last block to compute; no image is made then.
          dtype: type of the features; the image is float32.

        Raises:
          ValueError: a resolution in `features` or `stop_at` that the model does not have or does not reach.
        """
        resolutions = self.config.block_resolutions
        top = resolutions[-1] if stop_at is None else stop_at
        for wanted in {top, *features}:
            if wanted not in resolutions or wanted > top:
                known = ", ".join(str(r) for r in resolutions if r <= top)
                raise ValueError(f"the model has no block at {wanted} px to give features of; it has {known}")
        batch = next(iter(styles.values())).shape[0]
        const = self.block(4).const[...].astype(dtype)
        x = Tile.whole(jnp.broadcast_to(const, (batch, *const.shape)))
        image, kept = None, {}
        for index, resolution in enumerate(r for r in resolutions if r <= top):
            block = self.block(resolution)
            keys = [None if key is None else jax.random.fold_in(key, 2 * index + i) for i in (0, 1)]
            x = block.features(x, styles, noise=noise, keys=keys)
            if resolution in features:
                kept[resolution] = x.values
            if stop_at is None:
                image = block.image(image, x, styles)
        return SynthesisOutput(image=image, features=kept, styles=dict(styles))
