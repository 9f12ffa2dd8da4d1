"""A BigGAN made ready for edits: features of the whole map at one size."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Int32

from dragspace_jax.biggan.generator import Generator
from dragspace_jax.biggan.latents import BigGANLatents
from dragspace_jax.networks import Grid, PatchReader, Styles


def styles_of(latents: BigGANLatents) -> dict[str, Float32[Array, "B _"]]:
    """Latents with a leading B → what the generator takes: `condition` [B, 2 Z] and `statistics` [B, S]."""
    return {
        "condition": jnp.concatenate([latents.z, latents.class_embedding], -1),
        "statistics": jnp.asarray(latents.statistics),
    }


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedGenerator:
    """What `networks.Network` asks for. A pytree.

    Attributes:
      generator: the network's.
      block: side of the feature map (static).
      dtype, platform: of the convolutions, and what they are compiled for (static).
    """

    generator: Generator
    block: int = dataclasses.field(metadata={"static": True})
    dtype: str = dataclasses.field(metadata={"static": True})
    platform: str = dataclasses.field(metadata={"static": True})

    @property
    def grid(self) -> Grid:
        """How the feature map lies over the image."""
        return Grid.over(self.generator.config.resolution, self.block)

    @property
    def channels(self) -> int:
        """Of the feature map."""
        return self.generator.config.block_channels(self.block)

    def styles(self, latents: BigGANLatents, names: Collection[str] | None = None) -> dict[str, Float32[Array, "B _"]]:
        """Latents with a leading B → `condition` [B, 2 Z] and `statistics` [B, S]."""
        return {name: style for name, style in styles_of(latents).items() if names is None or name in names}

    def image(self, styles: Styles) -> Float32[Array, "B H W C"]:
        """Styles to images."""
        with self._precision():
            return self.generator.image(*_ordered(styles), dtype=jnp.dtype(self.dtype), platform=self.platform)

    def preview(self, styles: Styles) -> Float32[Array, "B S S C"]:
        """The images: the network has no smaller ones."""
        return self.image(styles)

    def features(self, styles: Styles, points_yx: Float[Array, "N 2"], image: Int32[Array, " N"]) -> PatchReader:
        """Features of B images, of their whole maps; see `networks.Network`."""
        with self._precision():
            found = self.generator.maps(
                *_ordered(styles), (self.block,), dtype=jnp.dtype(self.dtype), platform=self.platform
            )
        features = found[self.block].astype(jnp.float32)
        return PatchReader(features=features, origin_yx=None, image=image, grid=self.grid)

    def _precision(self) -> Any:
        # float32 means float32, as with StyleGAN2.
        return jax.default_matmul_precision("highest" if self.dtype == "float32" else "default")


def _ordered(styles: Styles) -> tuple[Float32[Array, "B D"], Float32[Array, "B S"]]:
    return styles["condition"], styles["statistics"]
