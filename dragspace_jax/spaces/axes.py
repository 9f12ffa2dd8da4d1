"""Principal axes of second moments: falling, orthonormal, signs fixed; what every fitted basis is made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from dragspace_jax.spaces.base import SpaceError

_NOISE = 1e-12  # of the samples' mean square: more than what float32 leaves where nothing varies, 4e-15


def sample_limits(samples: int, width: int) -> dict[str, int]:
    """What bounds the components of so many samples about their mean. Raises SpaceError: fewer than two samples."""
    if samples < 2:
        raise SpaceError(f"samples is {samples}; a PCA needs at least 2")
    return {f"{width} dimensions": width, f"{samples} samples, one less of which can be told apart": samples - 1}


def check_count(components: int | None, limits: Mapping[str, int]) -> int:
    """How many components to fit: those asked for, or as many as there can be.

    Raises:
      SpaceError: more than a limit, named by its key, or no whole number.
    """
    limit, most = min(limits.items(), key=lambda item: item[1])
    if components is None:
        return most
    whole = isinstance(components, int | np.integer)  # pyright: ignore[reportUnnecessaryIsInstance]  # users' input
    if not whole or not 1 <= components <= most:
        raise SpaceError(f"components is {components}; it must be a whole number from 1 to {most} ({limit})")
    return int(components)


def principal_axes(
    moments: Float64[np.ndarray, "D D"], components: int, *, mean_square: float, exactly: bool
) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, "K D"]]:
    """The leading eigenvectors of a symmetric matrix of second moments.

    Args:
      moments: the matrix.
      components: number K of them.
      mean_square: of the samples' largest coordinate; what varies by less than its rounding does not vary.
      exactly: raise if fewer directions vary; otherwise give those.

    Returns:
      The variance, falling, and the components, orthonormal, each with its largest entry positive.

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
