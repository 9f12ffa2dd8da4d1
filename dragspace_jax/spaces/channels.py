"""Chosen style channels as coordinates, in deviations over the model's samples (StyleSpace, arXiv 2011.12799).

W+ stays as it is, so no affine map runs while a drag moves: every style is computed once, and coordinates are added.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces.base import Space, SpaceError
from dragspace_jax.stylegan2 import Generator, Latents, Styles
from dragspace_jax.stylegan2.network import PreparedSynthesis


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class ChannelBase:
    """What stays while the coordinates move.

    Attributes:
      latents: ws [L, D], and offsets [C] without what the coordinates express; those of all chosen convolutions are
        there.
      styles: {name: [1, C]} of these latents, of all convolutions.
    """

    latents: Latents
    styles: dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Channels(Space):
    """K style channels, each in its deviations; `analysis.styles.channel_space` makes one.

    Sets of as many channels of the same convolutions share a program.

    Attributes:
      index: {name of a convolution: [k] whole numbers}, its chosen channels; coordinates follow the names' alphabet.
      deviation: {name: [k]}, the length of a coordinate's unit.
      model: fingerprint of the model that the deviations were measured on; empty if it suits any.
    """

    name: ClassVar[str] = "channels"
    index: dict[str, jax.Array]
    deviation: dict[str, jax.Array]
    model: str = dataclasses.field(default="", metadata={"static": True})

    @property
    def size(self) -> int:
        """Number K of coordinates."""
        return sum(each.shape[-1] for each in self.index.values())

    def check(self, model: Generator) -> None:
        if self.model and self.model != fingerprint(model):
            raise SpaceError(
                f"the channels' deviations are another model's, {self.model} by its fingerprint; this one is "
                f"{fingerprint(model)}: choose channels of it"
            )
        known = model.synthesis.style_channels()
        if not self.index or set(self.index) != set(self.deviation):
            raise SpaceError("the space of channels needs at least one channel, and a deviation for each")
        for name, index in self.index.items():
            chosen, deviation = np.asarray(index), np.asarray(self.deviation[name])
            if name not in known:
                raise SpaceError(f"channels of {name}: the model has no such convolution; it has {', '.join(known)}")
            if chosen.ndim != 1 or chosen.shape != deviation.shape or len(set(chosen.tolist())) != chosen.size:
                raise SpaceError(f"channels of {name} are {chosen.tolist()}; each once, with a deviation, is needed")
            if not ((chosen >= 0) & (chosen < known[name])).all():
                raise SpaceError(f"channels of {name} are {chosen.tolist()}; it has 0 to {known[name] - 1}")
            if not (np.isfinite(deviation) & (deviation > 0)).all():
                raise SpaceError(f"deviations of {name} must be finite and positive")

    def encode(self, network: PreparedSynthesis, latents: Latents) -> tuple[Float[Array, " K"], ChannelBase]:
        """ws [L, D], offsets [C] → coordinates and the base."""
        styles = network.styles(jax.tree.map(lambda leaf: leaf[None], latents))
        offsets = dict(latents.offsets)
        found = []
        for name, index in sorted(self.index.items()):
            offset = offsets.get(name, jnp.zeros(styles[name].shape[1:], styles[name].dtype))
            coordinates = offset[index] / self.deviation[name]
            expressed = coordinates * self.deviation[name]
            offsets[name] = offset.at[index].add(-expressed)  # what rounding leaves stays
            styles[name] = styles[name].at[0, index].add(-expressed)
            found.append(coordinates)
        base = ChannelBase(latents=dataclasses.replace(latents, offsets=offsets), styles=styles)
        return jnp.concatenate(found), base

    def decode(self, coordinates: Float[Array, " K"], base: ChannelBase) -> Latents:
        """Coordinates → ws [L, D], offsets [C]."""
        offsets = dict(base.latents.offsets)
        for name, moved in self._by_convolution(coordinates).items():
            offsets[name] = offsets[name].at[self.index[name]].add(moved)
        return dataclasses.replace(base.latents, offsets=offsets)

    def styles(self, network: PreparedSynthesis, coordinates: Float[Array, " K"], base: ChannelBase) -> Styles:
        """Coordinates → styles {name: [1, C]}; nothing goes through the affine maps."""
        styles = dict(base.styles)
        for name, moved in self._by_convolution(coordinates).items():
            styles[name] = styles[name].at[0, self.index[name]].add(moved)
        return styles

    def _by_convolution(self, coordinates: Float[Array, " K"]) -> dict[str, Float[Array, " _"]]:
        """{name: [k]} in the styles' units."""
        found, start = {}, 0
        for name, index in sorted(self.index.items()):
            found[name] = coordinates[start : start + index.shape[0]] * self.deviation[name]
            start += index.shape[0]
        return found
