"""A small procedural world of animal faces: two kinds, attributes, landmarks, and the map from a Gaussian vector."""

from dragspace_jax.critters.attributes import ATTRIBUTES, KINDS, LATENT_DIM, Attribute, entangle, named
from dragspace_jax.critters.renderer import LANDMARKS, SEGMENTS, Picture, render

__all__ = [
    "ATTRIBUTES", "KINDS", "LANDMARKS", "LATENT_DIM", "SEGMENTS",
    "Attribute", "Picture", "entangle", "named", "render",
]  # fmt: skip
