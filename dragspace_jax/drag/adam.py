"""Adam on the loss of a drag: the published solver, behind the solver's seam (`init`, `step`)."""

from __future__ import annotations

from typing import Protocol

import jax
import optax

SolverState = optax.OptState


class Solver(Protocol):
    """Turns gradients into steps; other solvers take its place without touching the loop."""

    def init(self, coordinates: jax.Array) -> SolverState:
        """State for coordinates [K]."""
        ...

    def step(self, gradient: jax.Array, state: SolverState, coordinates: jax.Array) -> tuple[jax.Array, SolverState]:
        """gradient [K], coordinates [K] → the next coordinates and state."""
        ...


class Adam:
    """Adam with betas 0.9 / 0.999 and eps 1e-8 (arXiv 1412.6980; DESIGN §5.2)."""

    def __init__(self, learning_rate: float | jax.Array):
        self._transform = optax.adam(learning_rate, b1=0.9, b2=0.999, eps=1e-8)

    def init(self, coordinates: jax.Array) -> SolverState:
        return self._transform.init(coordinates)

    def step(self, gradient: jax.Array, state: SolverState, coordinates: jax.Array) -> tuple[jax.Array, SolverState]:
        with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in int32 and mixes them with floats
            updates, state = self._transform.update(gradient, state, coordinates)
        return optax.apply_updates(coordinates, updates), state  # type: ignore[return-value]
