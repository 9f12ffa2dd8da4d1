"""The synthesis network: W+ or styles to features and an image.

Source: StyleGAN2 (arXiv 1912.04958), section 4 and figure 7 for the three architectures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int32, PRNGKeyArray

from dragspace_jax.networks.convolution import is_accelerator, platform_of
from dragspace_jax.stylegan2.block import (
    NO_KERNELS,
    NOTHING_KNOWN,
    Kernels,
    Keys,
    Known,
    Styles,
    SynthesisBlock,
)
from dragspace_jax.stylegan2.config import GeneratorConfig
from dragspace_jax.stylegan2.convolution import Kernel
from dragspace_jax.stylegan2.layers import Noise, SynthesisLayer, ToRGB
from dragspace_jax.stylegan2.tile import Tile
from dragspace_jax.stylegan2.windows import WindowPlan


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

    def style_channels(self) -> dict[str, int]:
        """{name of a convolution: number C of its styles}, in the order of W+."""
        return {name: self.convolution(name).affine.bias.shape[0] for name in self.layer_of()}

    def convolution(self, name: str) -> SynthesisLayer | ToRGB:
        """A convolution by its name, such as `b16.conv1`."""
        block, convolution = name.split(".")
        return getattr(getattr(self, block), convolution)

    def styles(
        self, ws: Float[Array, "B L D"], names: Collection[str] | None = None
    ) -> dict[str, Float32[Array, "B _"]]:
        """The affine maps of ws: {name: [B, C]} for `names` (None: all convolutions).

        Raises:
          ValueError: ws does not fit the model.
        """
        if ws.ndim != 3 or ws.shape[1:] != (self.config.num_ws, self.config.w_dim):
            raise ValueError(f"ws has shape {ws.shape}; the model takes [B, {self.config.num_ws}, {self.config.w_dim}]")
        found = {}
        for name, layer in self.layer_of().items():
            if names is None or name in names:
                found[name] = self.convolution(name).affine(ws[:, layer])
        return found

    def __call__(
        self,
        ws: Float[Array, "B L D"],
        *,
        noise: Noise = "const",
        key: PRNGKeyArray | None = None,
        features: Collection[int] = (),
        stop_at: int | None = None,
        dtype: jnp.dtype | type = jnp.float32,
    ) -> SynthesisOutput:
        """ws to image, features, styles; see `render`. Styles above `stop_at` are not computed."""
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
        key: PRNGKeyArray | None = None,
        features: Collection[int] = (),
        stop_at: int | None = None,
        preview: bool = False,
        dtype: jnp.dtype | type = jnp.float32,
    ) -> SynthesisOutput:
        """Styles to image and features.

        Args:
          styles: {name: [B, C]}; with `stop_at`, only the convolutions below are needed.
          noise: `const` (the stored maps), `random` (needs `key`) or `none`.
          key: a JAX random key for random noise.
          features: the resolutions whose block outputs are wanted.
          stop_at: the last block to compute; no image is made then, but with `preview`.
          preview: the image up to `stop_at`: the sum of the RGB of its blocks (arXiv 1912.04958, section 4.1), a small
            picture of what the whole image will be. Needs the styles of their ToRGB as well.
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
        x = self.constant(styles, dtype)
        image, kept = None, {}
        for index, resolution in enumerate(r for r in resolutions if r <= top):
            block = self.block(resolution)
            keys: Keys = (None, None)
            if key is not None:
                keys = (jax.random.fold_in(key, 2 * index), jax.random.fold_in(key, 2 * index + 1))
            x = block.features(x, styles, noise=noise, keys=keys)
            if resolution in features:
                kept[resolution] = x.values
            if stop_at is None or preview:
                image = block.image(image, x, styles)
        return SynthesisOutput(image=image, features=kept, styles=dict(styles))

    def constant(self, styles: Styles, dtype: jnp.dtype | type = jnp.float32) -> Tile:
        """The learned constant, one for every row of the styles."""
        const = self.block(4).const[...].astype(dtype)
        batch = next(iter(styles.values())).shape[0]
        return Tile.whole(jnp.broadcast_to(const, (batch, *const.shape)))

    def kernels(self, stop_at: int, dtype: jnp.dtype | type, platform: str | None = None) -> dict[str, Kernel]:
        """The weights that the features at `stop_at` depend on, made ready.

        Args:
          stop_at: a block's resolution.
          dtype: type of the features.
          platform: what the convolutions will be compiled for; None: that of the devices on which the weights lie, or,
            while tracing, whichever the program is lowered for.
        """
        platform = platform_of(nnx.state(self)) if platform is None else platform
        convolutions = [name.split(".") for name in self.names_up_to(stop_at)]
        return {f"{b}.{c}": getattr(getattr(self, b), c).kernel(dtype, platform) for b, c in convolutions}

    def windows(
        self,
        styles: Styles,
        plan: WindowPlan,
        origin_yx: Int32[Array, "N 2"],
        image: Int32[Array, " N"],
        *,
        noise: Noise = "const",
        kernels: Kernels = NO_KERNELS,
        known: Known = NOTHING_KNOWN,
        dtype: jnp.dtype | type = jnp.float32,
    ) -> tuple[Tile, dict[str, Tile]]:
        """Features in windows, to the numbers of the whole map (docs/design.md#exact-windows).

        Args:
          styles: {name: [B, C]} of B images.
          plan: which blocks run in windows, and their sizes.
          origin_yx: where the windows of block `plan.top` begin.
          image: which of the B images each window is of.
          noise: `const` or `none`.
          kernels: what `kernels` made, for this `dtype`.
          known: what the convolutions gave in another call, at the same styles, whose windows hold these: then they are
            not computed, and derivatives are those of this call.
          dtype: type of the features.

        Returns:
          N windows, or the B whole maps if the plan has no windows; and what the convolutions gave.
        """
        x, sums = self.constant(styles, dtype), dict[str, Tile]()
        windows = {window.resolution: window for window in plan.blocks}
        by_products = any(is_accelerator(kernel.platform) for kernel in kernels.values())
        origins = plan.origins(origin_yx)
        for resolution in [r for r in self.config.block_resolutions if r <= plan.top]:
            wanted = None
            if resolution in windows:
                below, here = origins[resolution]
                wanted = (here, windows[resolution].gives)
                if x.origin_yx is None:  # from here on a row of values is a window; one image's styles serve all
                    if x.values.shape[0] > 1:
                        styles = {name: style[image] for name, style in styles.items()}
                    x = x.window(below, windows[resolution].reads, image, by_products=by_products)
            block = self.block(resolution)
            x, found = block.stages(x, styles, noise=noise, kernels=kernels, window=wanted, known=known)
            sums |= found
        return x, sums
