"""Robust PCA: a matrix as the sum of one of low rank and a sparse one.

Principal component pursuit, min ‖L‖_* + λ‖S‖₁ with L + S = M (Candès et al., arXiv 0912.3599), by the alternating
directions of its section 5 with a fixed penalty μ, as LowRankGAN (arXiv 2106.04488, section 3.2) factors its Gram
matrices. Here M is symmetric, so singular values are eigenvalues without their signs, and iterates stay symmetric.
"""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from dragspace_jax.errors import DragspaceError

PUBLISHED_WEIGHT = 1 / 60
"""λ, as it was chosen for D = 512."""
ITERATIONS, TOLERANCE = 10_000, 1e-7


class FactorError(DragspaceError):
    """A matrix that cannot be factored, or a setting that makes no sense."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Factors:
    """M = L + S of n matrices.

    Attributes:
      low_rank: L [n, D, D], symmetric.
      sparse: S [n, D, D].
      iterations: [n], that were made.
      converged: [n], whether ‖M − L − S‖_F is at most the tolerance. What did not converge may be used all the same: L
        is then of low rank, and L + S off by a little more than the tolerance.
    """

    low_rank: Float64[np.ndarray, "n D D"]
    sparse: Float64[np.ndarray, "n D D"]
    iterations: Int[np.ndarray, " n"]
    converged: Bool[np.ndarray, " n"]


class _State(NamedTuple):
    low_rank: jax.Array
    sparse: jax.Array
    dual: jax.Array
    error: jax.Array
    iteration: jax.Array


def default_weight(width: int) -> float:
    """λ for matrices of D × D: (1/60) √(512 / D), the published one at 512; λ scales as 1/√D in theory as well."""
    return PUBLISHED_WEIGHT * math.sqrt(512 / width)


def robust_pca(
    matrices: Float[np.ndarray, "n D D"],
    *,
    weight: float | None = None,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> Factors:
    """Split symmetric matrices, in float64 whatever JAX is set to.

    Args:
      matrices: M, of n problems; one program serves all of one shape.
      weight: λ of the sparse part; None: `default_weight`.
      iterations: at most.
      tolerance: of ‖M − L − S‖_F, as a share of ‖M‖_F.

    Raises:
      FactorError: a matrix that is not finite or not symmetric, or a setting that is not positive.
    """
    given = np.asarray(matrices, np.float64)
    if given.ndim != 3 or given.shape[1] != given.shape[2] or not given.size:
        raise FactorError(f"the matrices have shape {given.shape}; [n, D, D] is needed")
    if not np.isfinite(given).all():
        raise FactorError("a matrix to factor holds numbers that are not finite")
    if np.abs(given - given.swapaxes(1, 2)).max() > 1e-5 * np.abs(given).max():
        raise FactorError("a matrix to factor is not symmetric")
    chosen = default_weight(given.shape[1]) if weight is None else weight
    for name, value in (("lambda", chosen), ("iterations", iterations), ("tolerance", tolerance)):
        if not (math.isfinite(value) and value > 0):
            raise FactorError(f"{name} is {value}; it must be positive", field=name)
    with jax.enable_x64(True):
        numbers = (jnp.asarray(value, jnp.float64) for value in (chosen, tolerance))
        together = jax.default_backend() != "cpu"
        found = _split(jnp.asarray((given + given.swapaxes(1, 2)) / 2), *numbers, jnp.int32(iterations), together)
        low_rank, sparse, _, error, made = (np.asarray(part) for part in found)
    return Factors(low_rank=low_rank, sparse=sparse, iterations=made, converged=error <= tolerance)


@partial(jax.jit, static_argnums=4)
def _split(
    matrices: jax.Array, weight: jax.Array, tolerance: jax.Array, iterations: jax.Array, together: bool
) -> _State:
    """All of the problems: at once, or one after another where the eigenvalues are found so in any case, and each
    then ends by itself."""

    def one(matrix: jax.Array) -> _State:
        return _split_one(matrix, weight, tolerance, iterations)

    return jax.vmap(one)(matrices) if together else jax.lax.map(one, matrices)


def _split_one(matrix: jax.Array, weight: jax.Array, tolerance: jax.Array, iterations: jax.Array) -> _State:
    # μ = D² / (4 ‖M‖₁), the norm being the greatest column sum; its inverse is 0 for M = 0, which is then L = S = 0.
    inverse = 4.0 * jnp.abs(matrix).sum(0).max() / matrix.size
    norm = jnp.linalg.norm(matrix)
    size = jnp.where(norm > 0, norm, 1.0)
    penalty = jnp.where(inverse > 0, 1.0 / jnp.where(inverse > 0, inverse, 1.0), 0.0)

    def step(state: _State) -> _State:
        scaled = inverse * state.dual
        values, vectors = jnp.linalg.eigh(matrix - state.sparse + scaled)
        low_rank = (vectors * _shrunk(values, inverse)[None]) @ vectors.T
        sparse = _shrunk(matrix - low_rank + scaled, inverse * weight)
        left = matrix - low_rank - sparse
        return _State(
            low_rank, sparse, state.dual + penalty * left, jnp.linalg.norm(left) / size, state.iteration + jnp.int32(1)
        )

    zero = jnp.zeros_like(matrix)
    start = _State(zero, zero, zero, norm / size, jnp.int32(0))
    return jax.lax.while_loop(lambda s: (s.error > tolerance) & (s.iteration < iterations), step, start)


def _shrunk(values: jax.Array, by: jax.Array) -> jax.Array:
    return jnp.sign(values) * jnp.maximum(jnp.abs(values) - by, 0.0)
