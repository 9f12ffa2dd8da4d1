"""The low-rank space of a region: the span of directions that change it and leave the rest of the image alone."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax

from dragspace_jax.spaces.pca import PCA


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class LowRank(PCA):
    """Moves the first `layers` latents within the span of a region's K directions.

    Attributes:
      mean: [D], mean of W.
      components: [K, D], orthonormal, and rows of zeros where there are fewer than the shape says, so that bases of
        several images run in one program; such coordinates move nothing.
      variance: [K], of W along each.
    """

    name: ClassVar[str] = "lowrank"
