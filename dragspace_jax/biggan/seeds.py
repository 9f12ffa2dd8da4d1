"""Latents of seeds, the public package's: a truncated normal z, by a seeded NumPy generator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Float32

from dragspace_jax.biggan.latents import BigGANLatents, statistics_of
from dragspace_jax.biggan.model import BigGAN

_CUT = 2.0  # standard deviations at which z is cut off, before it is scaled by the truncation


def seed_to_z(seed: int, z_dim: int, truncation: float = 1.0) -> Float32[np.ndarray, "1 {z_dim}"]:
    """The z of a seed: a normal cut off at ±2, times the truncation (arXiv 1809.11096, section 3.1)."""
    from scipy.stats import truncnorm  # takes long to import, and only this needs it

    state = np.random.RandomState(seed)
    drawn = np.asarray(truncnorm.rvs(-_CUT, _CUT, size=(1, z_dim), random_state=state), np.float32)
    return np.float32(truncation) * drawn


def seed_latents(model: BigGAN, seeds: Sequence[int], *, truncation: float, label: int) -> BigGANLatents:
    """Latents of seeds in one class, arrays [n, …] float32, n = len(seeds).

    Args:
      model: the network.
      seeds: as the public package's `truncated_noise_sample` takes them, one at a time.
      truncation: above 0, at most 1.
      label: the class, which the model has.

    Raises:
      BigGANLatentsError: the truncation is out of range.
    """
    statistics = statistics_of(truncation, model.config.n_stats)
    z = np.concatenate([seed_to_z(seed, model.config.z_dim, truncation) for seed in seeds])
    embedding = np.asarray(model.embeddings.weight[...])[label]
    repeat = partial(np.repeat, repeats=len(z), axis=0)
    return jax.tree.map(
        np.asarray,
        BigGANLatents(z=z, class_embedding=repeat(embedding[None]), statistics=repeat(statistics[None])),
    )
