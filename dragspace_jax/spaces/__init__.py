"""Spaces: charts that turn coordinates into latents."""

from dragspace_jax.spaces.base import Base, Space, SpaceError
from dragspace_jax.spaces.pca import PCA, fit_pca
from dragspace_jax.spaces.wplus import DEFAULT_LAYERS, W, WPlus, default_layers

__all__ = ["DEFAULT_LAYERS", "PCA", "Base", "Space", "SpaceError", "W", "WPlus", "default_layers", "fit_pca"]
