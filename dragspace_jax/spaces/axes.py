"""Principal axes of second moments: falling, orthonormal, signs fixed; what every fitted basis is made of."""

from __future__ import annotations

import numpy as np

from dragspace_jax.spaces.base import SpaceError

_NOISE = 1e-12  # of the samples' mean square: more than what float32 leaves where nothing varies, 4e-15


def check_count(components: int | None, samples: int, width: int) -> int:
    """How many components to fit: those asked for, or all that so many samples can have.

    Raises:
      SpaceError: fewer than two samples, or more components than dimensions or than samples less one.
    """
    if samples < 2:
        raise SpaceError(f"samples is {samples}; a PCA needs at least 2")
    most = min(width, samples - 1)
    if components is None:
        return most
    if not 1 <= components <= most:
        limit = f"{width} dimensions" if most == width else f"{samples} samples, one less of which can be told apart"
        raise SpaceError(f"components is {components}; it must be from 1 to {most} ({limit})")
    return components


def principal_axes(
    moments: np.ndarray, components: int, *, mean_square: float, exactly: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The leading eigenvectors of a symmetric matrix of second moments.

    Args:
      moments: [D, D] float64.
      components: number K of them.
      mean_square: of the samples' largest coordinate; what varies by less than its rounding does not vary.
      exactly: raise if fewer directions vary; otherwise give those.

    Returns:
      variance [K], falling, and components [K, D], orthonormal, each with its largest entry positive, float64.

    Raises:
      SpaceError: the samples are not finite, do not vary at all, or in fewer than K directions.
    """
    if not np.isfinite(moments).all():
        raise SpaceError("the samples hold numbers that are not finite; is the model whole?")
    variance, vectors = np.linalg.eigh(moments)
    variance, axes = variance[::-1], vectors.T[::-1]
    rank = int(np.sum(variance > mean_square * _NOISE))
    if rank == 0:
        raise SpaceError("the covariance is degenerate: all samples are the same")
    if exactly and rank < components:
        raise SpaceError(
            f"the covariance is degenerate: the samples vary in {rank} directions only; "
            f"ask for at most {rank} components, not {components}"
        )
    count = min(components, rank)
    axes = axes[:count]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    return variance[:count].copy(), axes * np.sign(largest)
