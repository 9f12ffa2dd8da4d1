"""Solvers of a drag behind one seam (`init`, `step`): the published Adam, and one that keeps the gradient's way."""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp
import optax

from dragspace_jax.drag.settings import DragSettings

SolverState = optax.OptState
_BETA2, _EPSILON = 0.999, 1e-8


class Solver(Protocol):
    """Turns gradients into steps; other solvers take its place without touching the loop."""

    def init(self, coordinates: jax.Array) -> SolverState:
        """State for coordinates [K]."""
        ...

    def step(self, gradient: jax.Array, state: SolverState, coordinates: jax.Array) -> tuple[jax.Array, SolverState]:
        """gradient [K], coordinates [K] → the next coordinates and state."""
        ...


class _Transformed:
    """A solver made of an optax transformation."""

    def __init__(self, transform: optax.GradientTransformation):
        self._transform = transform

    def init(self, coordinates: jax.Array) -> SolverState:
        return self._transform.init(coordinates)

    def step(self, gradient: jax.Array, state: SolverState, coordinates: jax.Array) -> tuple[jax.Array, SolverState]:
        with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in int32 and mixes them with floats
            updates, state = self._transform.update(gradient, state, coordinates)
        return optax.apply_updates(coordinates, updates), state  # type: ignore[return-value]


def _unit_mean_square() -> optax.GradientTransformation:
    """Divide by the root of Adam's running mean of the gradient's mean square: its direction stays.

    As AdaGrad-Norm (arXiv 1806.01811) does to AdaGrad. In whitened coordinates the step is then the gradient's own
    direction in the metric of the latents, where Adam goes along a diagonal of ±1.
    """

    def init(params: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros((), params.dtype), jnp.zeros((), jnp.int32)

    def update(
        updates: jax.Array, state: tuple[jax.Array, jax.Array], params: jax.Array | None = None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        square, count = state
        square = _BETA2 * square + (1 - _BETA2) * jnp.mean(jnp.square(updates))
        corrected = square / (1 - _BETA2 ** (count + 1))
        return updates / (jnp.sqrt(corrected) + _EPSILON), (square, count + 1)

    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def make_solver(settings: DragSettings) -> Solver:
    """The solver that settings name, for one lane.

    `adam` has betas `momentum` / 0.999 and eps 1e-8 (arXiv 1412.6980; DESIGN §5.2). `adam-norm` scales the whole
    gradient first and averages it then, with Adam's bias correction.
    """
    rate, momentum = settings.learning_rate, settings.momentum
    if settings.solver == "adam":
        return _Transformed(optax.adam(rate, b1=momentum, b2=_BETA2, eps=_EPSILON))
    average = optax.ema(momentum, debias=True)
    return _Transformed(optax.chain(_unit_mean_square(), average, optax.scale_by_learning_rate(rate)))
