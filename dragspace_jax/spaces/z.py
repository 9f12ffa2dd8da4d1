"""The space of a BigGAN: its z, the class and the truncation held."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float

from dragspace_jax.biggan import BigGAN, BigGANLatents
from dragspace_jax.spaces.base import Space, SpaceError


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Z(Space):
    """Moves z [Z], of which every number has a variance of about 1 in samples."""

    name: ClassVar[str] = "z"

    def check(self, model: Any) -> None:
        """Raises SpaceError unless the model is a BigGAN."""
        if not isinstance(model, BigGAN):
            raise SpaceError("space z moves the z of a BigGAN; a StyleGAN2 has w+, w and pca", field="space")

    def encode(self, network: Any, latents: BigGANLatents) -> tuple[Float[Array, " K"], BigGANLatents]:
        """z, and the latents that keep the rest."""
        del network
        return latents.z, latents

    def decode(self, coordinates: Float[Array, " K"], base: BigGANLatents) -> BigGANLatents:
        """The latents with another z."""
        return dataclasses.replace(base, z=coordinates)
