"""How far latents lie from where a model's samples are."""

from __future__ import annotations

import numpy as np


def mahalanobis(ws: np.ndarray, mean: np.ndarray, components: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Mahalanobis distance of latents to the distribution of W, along K principal components.

    Args:
      ws: [..., n, D], latents of n layers.
      mean: [D], mean of W.
      components: [K, D], orthonormal principal components.
      variance: [K], variance along each, positive.

    Returns:
      [...]: the root of the mean over layers and components of squared coordinates in standard deviations. Samples of
      W have about 1, whatever K.

    Raises:
      ValueError: a component without variance.
    """
    if not (np.asarray(variance) > 0).all():
        raise ValueError("a component has no variance; take fewer components")
    whitened = (np.asarray(ws, np.float64) - mean) @ np.asarray(components, np.float64).T / np.sqrt(variance)
    return np.sqrt(np.mean(np.square(whitened), (-2, -1)))
