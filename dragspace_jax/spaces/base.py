"""What a space is: a chart that turns K coordinates into latents.

`encode` splits latents into coordinates and a base; the base holds what an edit does not move, so that decoding what
was encoded gives the same latents. What a latent is, the network's family says: `model` and `network` are a
`networks.Model` and a `networks.Network` of the family that the space is of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks import Styles


class SpaceError(DragspaceError):
    """A space that does not fit the model or the latents."""


class Unmeasured(ABC):
    """A space that is another for each image; `measured` makes it once the image and the edit's region are known."""

    name: ClassVar[str]

    @abstractmethod
    def check(self, model: Any) -> None:
        """Raises SpaceError if no space of it can fit the model."""

    @abstractmethod
    def measured(self, model: Any, latents: Any, region: Bool[np.ndarray, "H W"] | None) -> Space:
        """The space of one image: its latents, and where it may change or None. Raises SpaceError."""


class Space(ABC):
    """Coordinates to move in; a pytree, so that a batch may hold one a lane.

    Attributes:
      name: as the command line has it.
    """

    name: ClassVar[str]

    @abstractmethod
    def check(self, model: Any) -> None:
        """Raises SpaceError if the space does not fit the model."""

    @abstractmethod
    def encode(self, network: Any, latents: Any) -> tuple[Float[Array, " K"], Any]:
        """One image's latents to coordinates and the base."""

    @abstractmethod
    def decode(self, coordinates: Float[Array, " K"], base: Any) -> Any:
        """Coordinates and the base to one image's latents; of what was encoded, the same ones."""

    def styles(self, network: Any, coordinates: Float[Array, " K"], base: Any) -> Styles:
        """Coordinates and the base to styles {name: [1, C]}; a space may know a shorter way than through latents."""
        return network.styles(jax.tree.map(lambda leaf: leaf[None], self.decode(coordinates, base)))
