"""What the spaces and the drag know of any network: a protocol, and features read at positions of the image."""

from dragspace_jax.networks.grid import Grid
from dragspace_jax.networks.patches import PatchReader
from dragspace_jax.networks.protocol import Model, Network, Styles, nearer

__all__ = ["Grid", "Model", "Network", "PatchReader", "Styles", "nearer"]
