"""Learning rates over a drag: with time, near the target, and steps stretched to keep a pace; solvers."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.drag import DragSettings
from dragspace_jax.drag.schedule import paced_descent, paced_stretch, scheduled_rate
from dragspace_jax.drag.settings import EditError
from dragspace_jax.drag.solvers import make_solver
from dragspace_jax.stylegan2.config import GeneratorConfig

SIDE = 512


def settings(**changes: float) -> DragSettings:
    numbers = {"learning_rate": 0.1, "half_life": 0.0, "slow_down": 0.0, "pace": 0.0, **changes}
    return DragSettings(**{name: jnp.full(3, value) for name, value in numbers.items()})  # type: ignore[arg-type]


def test_the_published_rate_stays() -> None:
    rate = scheduled_rate(settings(), jnp.array([0, 10, 200]), jnp.array([100.0, 1.0, 0.0]), SIDE)
    np.testing.assert_array_equal(rate, np.float32(0.1))
    still = paced_descent(settings(), jnp.arange(3), jnp.ones(3), jnp.array([9.0, 1.0, 0.0]), SIDE)
    stretch = paced_stretch(settings(), jnp.array([1.0, 9.0, -1.0]), still)
    np.testing.assert_array_equal(stretch, 1.0)


def test_the_rate_falls_with_time_and_near_the_target() -> None:
    rate = scheduled_rate(settings(half_life=10.0), jnp.array([0, 10, 20]), jnp.full(3, 9.0), SIDE)
    np.testing.assert_allclose(rate, [0.1, 0.05, 0.025], rtol=1e-6)
    rate = scheduled_rate(settings(slow_down=8.0), jnp.zeros(3, jnp.int32), jnp.array([20.0, 8.0, 2.0]), SIDE)
    np.testing.assert_allclose(rate, [0.1, 0.1, 0.025], rtol=1e-6)
    # Distances of the settings are pixels of a 512 px image.
    rate = scheduled_rate(settings(slow_down=8.0), jnp.zeros(3, jnp.int32), jnp.array([20.0, 8.0, 1.0]), 128)
    np.testing.assert_allclose(rate, [0.1, 0.1, 0.05], rtol=1e-6)


def wanted(far: list[float], motion: list[float], side: int = SIDE) -> jax.Array:
    """Of a pace of 4 px, three handles of lanes of their own."""
    return paced_descent(settings(pace=4.0), jnp.arange(3), jnp.array(motion), jnp.array(far), side)


def test_a_step_is_stretched_to_the_pace() -> None:
    kept = settings(pace=4.0)
    # Along the step the loss of 2 would fall by half, by all of it, by twice as much: half a pixel, one, two.
    descent = jnp.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(paced_stretch(kept, descent, wanted([50.0] * 3, [2.0] * 3)), [8.0, 4.0, 2.0])
    small = wanted([50.0] * 3, [2.0] * 3, SIDE // 4)  # of a 512 px image
    np.testing.assert_allclose(paced_stretch(kept, descent, small), [2.0, 1.0, 0.5])
    # No farther than the target; below 1 px the loss pulls by what is left.
    near = paced_stretch(kept, jnp.full(3, 2.0), wanted([3.0, 1.0, 0.5], [2.0] * 3))
    np.testing.assert_allclose(near, [3.0, 1.0, 1.0])
    bounded = paced_stretch(kept, jnp.array([1e-6, 1e6, 2.0]), wanted([50.0] * 3, [2.0] * 3))
    np.testing.assert_allclose(bounded, [8.0, 0.125, 4.0])
    unknown = paced_stretch(kept, jnp.array([-1.0, 0.0, 2.0]), wanted([50.0] * 3, [2.0, 2.0, 0.0]))
    np.testing.assert_array_equal(unknown, 1.0)  # uphill, along a level, nothing to pull


def test_a_handle_that_is_near_is_not_driven_past_its_target() -> None:
    """Two handles of a lane, 20 px and 1 px away, pulled alike: 4 px and 1 px are wanted of them, 2.5 on average."""
    far, motion = jnp.array([20.0, 1.0, 0.0]), jnp.array([2.0, 2.0, 0.0])
    total = paced_descent(settings(pace=4.0), jnp.zeros(3, jnp.int32), motion, far, SIDE).sum()
    np.testing.assert_allclose(paced_stretch(settings(pace=4.0), jnp.full(3, 4.0), jnp.full(3, total)), 2.5)


def test_adam_norm_keeps_the_direction() -> None:
    gradient = jnp.array([3.0, -4.0, 0.0])
    solver = make_solver(DragSettings(solver="adam-norm", learning_rate=0.1))
    coordinates, state = solver.step(gradient, solver.init(jnp.zeros(3)), jnp.zeros(3))
    np.testing.assert_allclose(coordinates, -0.1 * gradient / jnp.sqrt(25.0 / 3.0), rtol=1e-5)
    again, _ = solver.step(gradient, state, coordinates)
    np.testing.assert_allclose(again, 2 * coordinates, rtol=1e-5)  # bias-corrected: a steady gradient, a steady step
    signs = make_solver(DragSettings(learning_rate=0.1))
    coordinates, _ = signs.step(gradient, signs.init(jnp.zeros(3)), jnp.zeros(3))
    np.testing.assert_allclose(coordinates, [-0.1, 0.1, 0.0], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"momentum": 1.0}, "momentum is 1.0; it must be below 1"),
        ({"pace": -1.0}, "pace is -1.0"),
        ({"tolerance": 0.0}, "tolerance is 0.0; it must be positive"),
        ({"solver": "sgd"}, "solver is 'sgd'; a drag takes adam or adam-norm"),
    ],
)
def test_bad_settings(tiny_config: GeneratorConfig, change: dict, message: str) -> None:
    with pytest.raises(EditError, match=message):
        dataclasses.replace(DragSettings(), **change).resolved(tiny_config)


def test_a_vmap_over_settings(tiny_config: GeneratorConfig) -> None:
    """Lanes with rates of their own share a solver."""
    rates = jnp.array([0.1, 0.2])
    chosen = DragSettings(learning_rate=rates, solver="adam-norm")  # type: ignore[arg-type]
    axes = dataclasses.replace(jax.tree.map(lambda _: None, chosen), learning_rate=0)
    step = jax.vmap(
        lambda settings, g: make_solver(settings).step(g, make_solver(settings).init(g), g)[0], in_axes=(axes, 0)
    )
    moved = step(chosen, jnp.ones((2, 3)))
    np.testing.assert_allclose(moved, 1.0 - np.repeat(rates[:, None], 3, 1), rtol=1e-5)
