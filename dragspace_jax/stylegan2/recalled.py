"""Values that were computed before, differentiated as if they were computed now.

A drag computes features around where its handles were, finds them again there, and wants derivatives only of the few
positions around where they are. What it has computed it knows; so the second, narrower pass takes the values of its
convolutions from the first, and what is left of these is the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Float

Linear = Callable[..., jax.Array]
"""(x, operands …) → an array; linear in x."""


def recalled(
    function: Linear, values: Float[Array, "N h w O"], x: Float[Array, "N _ _ I"], operands: tuple[Any, ...]
) -> Float[Array, "N h w O"]:
    """`values`, with the derivative by x that `function(x, *operands)` has, whose values they are.

    Args:
      function: linear in x.
      values: what it gives, known from elsewhere; it is not computed.
      x: where it is differentiated.
      operands: pytrees of arrays; nothing is differentiated by them.
    """
    # A gradient is traced later, when the precision that holds here no longer does.
    precision = jax.config.values["jax_default_matmul_precision"]
    return _recalled(function, precision, values, x, operands)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _recalled(
    function: Linear, precision: str | None, values: jax.Array, x: jax.Array, operands: tuple[Any, ...]
) -> jax.Array:
    del function, precision, x, operands
    return values


def _forward(
    function: Linear, precision: str | None, values: jax.Array, x: jax.Array, operands: tuple[Any, ...]
) -> tuple[jax.Array, tuple[jax.Array, tuple[Any, ...]]]:
    del function, precision
    return values, (x, operands)


def _backward(
    function: Linear, precision: str | None, kept: tuple[jax.Array, tuple[Any, ...]], slope: jax.Array
) -> tuple[None, jax.Array, None]:
    x, operands = kept
    with jax.default_matmul_precision(precision):
        (gradient,) = jax.vjp(lambda x: function(x, *operands), x)[1](slope)
    return None, gradient, None


_recalled.defvjp(_forward, _backward)
