"""The generator of BigGAN-deep: a condition to features and an image.

Source: BigGAN (arXiv 1809.11096), appendix B and figure 16: residual blocks of four convolutions behind a bottleneck,
whose skip path drops the upper half of the channels where a block has fewer; z is not split, and goes with the class
into every batch norm.
"""

from __future__ import annotations

from collections.abc import Collection

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32

from dragspace_jax.biggan.config import FIRST, REDUCTION, BigGANConfig
from dragspace_jax.biggan.layers import ConditionalNorm, Convolution, Dense, PlainNorm, SelfAttention, enlarged


class Block(nnx.Module):
    """A residual block: 1×1, 3×3, 3×3 and 1×1 convolutions, each behind a batch norm; it may double the size."""

    def __init__(self, config: BigGANConfig, index: int, *, rngs: nnx.Rngs):
        self.up, first, last = config.layers[index]
        self.channels = last * config.channel_width
        taken = first * config.channel_width
        middle, condition = taken // REDUCTION, 2 * config.z_dim
        widths = (taken, middle, middle, middle, self.channels)
        for i, kernel in enumerate((1, 3, 3, 1)):
            norm = ConditionalNorm(widths[i], condition, config.n_stats, config.eps, rngs=rngs)
            setattr(self, f"bn_{i}", norm)
            setattr(self, f"conv_{i}", Convolution(widths[i], widths[i + 1], kernel, rngs=rngs))

    def __call__(
        self,
        x: Float[Array, "B h w I"],
        condition: Float32[Array, "B D"],
        statistics: Float32[Array, "B S"],
        platform: str | None = None,
    ) -> Float[Array, "B _ _ O"]:
        """The block's output, in the type of x."""
        y = x
        for i in range(4):
            y = jax.nn.relu(getattr(self, f"bn_{i}")(y, condition, statistics)).astype(x.dtype)
            if i == 1 and self.up:
                y = enlarged(y)
            y = getattr(self, f"conv_{i}")(y, platform)
        skipped = x[..., : self.channels]
        return y + (enlarged(skipped) if self.up else skipped)


class Generator(nnx.Module):
    """A condition, z beside the class embedding, to an image; `layers` counts the self-attention among the blocks."""

    def __init__(self, config: BigGANConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.gen_z = Dense(2 * config.z_dim, 4 * 4 * FIRST * config.channel_width, rngs=rngs)
        layers: list[nnx.Module] = []
        for index in range(len(config.layers)):
            if index == config.attention_layer_position:
                layers.append(SelfAttention(config.attention_channels, rngs=rngs))
            layers.append(Block(config, index, rngs=rngs))
        self.layers = nnx.List(layers)
        self.bn = PlainNorm(config.channel_width, config.n_stats, config.eps)
        self.conv_to_rgb = Convolution(config.channel_width, 3, 3, rngs=rngs)

    def maps(
        self,
        condition: Float32[Array, "B D"],
        statistics: Float32[Array, "B S"],
        wanted: Collection[int],
        *,
        dtype: jnp.dtype | type = jnp.float32,
        platform: str | None = None,
    ) -> dict[int, Float[Array, "B _ _ C"]]:
        """{R: features [B, R, R, C]} of the sides wanted, each the output of the last block of that size.

        Args:
          condition: z and the class embedding of each image.
          statistics: weights of the sets of batch-norm statistics.
          wanted: sides; nothing is computed beyond the greatest.
          dtype: of the convolutions.
          platform: what the program is compiled for, if that is known.
        """
        ends = {self.config.last_block(side): side for side in wanted}
        x = self.gen_z(condition).reshape(condition.shape[0], 4, 4, -1).astype(dtype)
        found = {4: x} if -1 in ends else {}
        index = 0
        for layer in self.layers:
            if index > max(ends):
                break
            if isinstance(layer, SelfAttention):
                x = layer(x, platform)
                continue
            x = layer(x, condition, statistics, platform)
            if index in ends:
                found[ends[index]] = x
            index += 1
        return found

    def image(
        self,
        condition: Float32[Array, "B D"],
        statistics: Float32[Array, "B S"],
        *,
        dtype: jnp.dtype | type = jnp.float32,
        platform: str | None = None,
    ) -> Float32[Array, "B H W 3"]:
        """Images in [-1, 1]."""
        side = self.config.resolution
        x = self.maps(condition, statistics, (side,), dtype=dtype, platform=platform)[side]
        return self.coloured(x, statistics, platform)

    def coloured(
        self, x: Float[Array, "B H W C"], statistics: Float32[Array, "B S"], platform: str | None = None
    ) -> Float32[Array, "B H W 3"]:
        """The image of the last block's features."""
        y = jax.nn.relu(self.bn(x, statistics)).astype(x.dtype)
        return jnp.tanh(self.conv_to_rgb(y, platform).astype(jnp.float32))
