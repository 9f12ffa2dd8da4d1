"""Drawings of one shape for all tests of critters: the dear programs, compiled once and found in the cache after."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import jax
import numpy as np

from dragspace_jax.critters import Picture, render

BATCH = 10
# Compiling a drawing with all optimisations costs 2 s more, and each of its ten runs takes 2 s less.
OPTIONS = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}


@cache
def drawing(kind: str, resolution: int) -> Callable[[jax.Array | np.ndarray], Picture]:
    """`render`, compiled; attributes [BATCH, A]."""
    return jax.jit(partial(render, kind, resolution=resolution), compiler_options=OPTIONS)


def filled(attributes: jax.Array | np.ndarray) -> np.ndarray:
    """Fewer attributes than a batch, with the last ones again."""
    known = np.asarray(attributes)
    return np.concatenate([known, np.repeat(known[-1:], BATCH - len(known), 0)])
