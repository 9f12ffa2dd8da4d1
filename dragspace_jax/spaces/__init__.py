"""Spaces: charts that turn coordinates into latents."""

from dragspace_jax.spaces.base import Space, SpaceError, Unmeasured
from dragspace_jax.spaces.displacement import Displacement, fit_displacements
from dragspace_jax.spaces.fit import fit_pca
from dragspace_jax.spaces.layers import LayerSpace
from dragspace_jax.spaces.lowrank import LowRank
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.spaces.region import RegionSpace, lowrank_space
from dragspace_jax.spaces.stored import load_space, save_space
from dragspace_jax.spaces.wplus import DEFAULT_LAYERS, W, WPlus, default_layers
from dragspace_jax.spaces.z import Z

__all__ = [
    "DEFAULT_LAYERS", "PCA", "Displacement", "LayerSpace", "LowRank", "RegionSpace", "Space", "SpaceError",
    "Unmeasured", "W", "WPlus", "Z", "default_layers", "fit_displacements", "fit_pca", "load_space", "lowrank_space",
    "save_space",
]  # fmt: skip
