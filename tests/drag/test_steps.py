"""Learning rates over a drag, steps stretched to keep a pace, and what settings may be."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.drag import DragSettings, EditError
from dragspace_jax.drag.directions import Adam
from dragspace_jax.drag.method import Limits, StepSize
from dragspace_jax.drag.state import ByHandle, Lanes, Point
from dragspace_jax.drag.step_sizes import Pace, Rate, Schedule
from dragspace_jax.stylegan2.config import GeneratorConfig

from .points import lanes_of, point_at


def limits(size: StepSize, far: list[float], motion: list[float] | None = None, done: list[int] | None = None) -> Any:
    """For three lanes with a handle each, at these distances and with these motion losses."""
    settings = DragSettings(learning_rate=jnp.full(3, 0.1))  # type: ignore[arg-type]
    point = point_at(jnp.array(far), terms=ByHandle(jnp.array([2.0] * 3 if motion is None else motion)))
    iteration = jnp.array([0, 0, 0] if done is None else done, jnp.int32)
    return size.limits(lanes_of(settings, jnp.zeros((3, 1))), point, None, iteration)


def test_the_published_rate_stays() -> None:
    found = limits(Rate(), [100.0, 1.0, 0.0], done=[0, 10, 200])
    np.testing.assert_array_equal(found.rate, np.float32(0.1))
    assert found.descent is None


def test_the_rate_falls_with_time_and_near_the_target() -> None:
    found = limits(Schedule(half_life=jnp.full(3, 10.0)), [9.0] * 3, done=[0, 10, 20])
    np.testing.assert_allclose(found.rate, [0.1, 0.05, 0.025], rtol=1e-6)
    found = limits(Schedule(slow_down=jnp.full(3, 8.0)), [20.0, 8.0, 2.0])
    np.testing.assert_allclose(found.rate, [0.1, 0.1, 0.025], rtol=1e-6)
    np.testing.assert_array_equal(limits(Schedule(), [20.0, 8.0, 2.0], done=[5, 6, 7]).rate, np.float32(0.1))


def test_what_is_wanted_of_a_pace() -> None:
    """The motion loss falls by so much of itself as the handle is to go of the pixel that it is pulled."""
    np.testing.assert_allclose(limits(Pace(pace=4.0), [50.0] * 3).descent, [8.0] * 3)
    # No farther than the target; below 1 px the loss pulls by what is left.
    np.testing.assert_allclose(limits(Pace(pace=4.0), [3.0, 1.0, 0.5]).descent, [6.0, 2.0, 2.0])
    np.testing.assert_array_equal(limits(Pace(pace=4.0), [9.0, 1.0, 0.0], [0.0, 1.0, 0.0]).descent, [0.0, 1.0, 0.0])


def test_a_step_is_stretched_to_the_pace() -> None:
    """Adam's first step goes `rate` along each sign; the loss then falls by rate · Σ|g|, were it linear."""
    gradient = jnp.array([[3.0, -4.0], [3.0, -4.0], [3.0, -4.0], [0.0, 0.0]])
    lanes = lanes_of(DragSettings(momentum=0.9), jnp.zeros((4, 2)))
    point = point_at(jnp.ones(4), coordinates=jnp.zeros((4, 2)), pulled=gradient)
    plain = propose(lanes, point, None)
    np.testing.assert_allclose(plain[:3], np.array([[-0.1, 0.1]] * 3), rtol=1e-4)
    stretched = propose(lanes, point, jnp.array([1.4, 70.0, 0.0, 1.0]))
    np.testing.assert_allclose(stretched, plain * np.array([[2.0], [8.0], [1.0], [1.0]]), rtol=1e-4)
    np.testing.assert_allclose(propose(lanes, point, jnp.full(4, 1e-6))[:3], plain[:3] / 8, rtol=1e-4)


def propose(lanes: Lanes, point: Point, descent: jax.Array | None) -> np.ndarray:
    found, _ = Adam().propose(
        lanes, point, Limits(rate=jnp.full(4, 0.1), descent=descent), Adam().init(lanes, jnp.zeros((4, 2)))
    )
    return np.asarray(found.coordinates)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"momentum": 1.0}, "momentum is 1.0; it must be a finite number from 0 below 1"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"tolerance": 0.0}, "tolerance is 0.0; it must be a finite number above 0"),
        ({"steps": True}, "steps is True; it must be a whole number above 0"),
        ({"radius_track": 513.0}, "radius_track is 513.0; a patch larger than the image"),
        ({"dtype": "float16"}, "dtype is 'float16'; it must be float32 or bfloat16"),
    ],
)
def test_bad_settings(tiny_config: GeneratorConfig, change: dict, message: str) -> None:
    with pytest.raises(EditError, match=message) as caught:
        dataclasses.replace(DragSettings(), **change).resolved(tiny_config)
    assert caught.value.field == next(iter(change))
