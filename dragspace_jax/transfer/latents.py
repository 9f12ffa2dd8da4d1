"""Latents of a model: samples of w, and w for every layer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.spaces.fit import BATCH, draw
from dragspace_jax.stylegan2 import Generator

_draw = jax.jit(draw)


def sample_w(model: Generator, count: int, seed: int, label: np.ndarray | None) -> np.ndarray:
    """w [count, D] float32 of the latents that a seed names; label [1, c_dim] one-hot or None."""
    c = None if label is None else jnp.asarray(label[0])
    batches = [np.asarray(_draw(model.mapping, seed, index, c)) for index in range(-(-count // BATCH))]
    return np.concatenate(batches)[:count]


def every_layer(model: Generator, w: np.ndarray) -> np.ndarray:
    """w [m, D] → ws [m, L, D] float32, a view that cannot be written to."""
    w = np.asarray(w, np.float32)
    return np.broadcast_to(w[:, None], (len(w), model.config.num_ws, w.shape[1]))
