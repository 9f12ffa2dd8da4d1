"""A StyleGAN2's parameters by name and its fingerprint: those of any network."""

from dragspace_jax.networks.parameters import digest, fingerprint, parameters

__all__ = ["digest", "fingerprint", "parameters"]
