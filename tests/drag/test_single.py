"""One drag from outside: outcomes, trace, errors, and no retrace while it runs."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.building import build_generator
from dragspace_jax.drag import DragSettings, EditError, EditRequest, Outcome, make_edit, supervision
from dragspace_jax.drag import drag_one as drag_by_recipe
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.spaces import SpaceError, WPlus, fit_pca
from dragspace_jax.stylegan2.generator import Generator

SETTINGS = DragSettings(learning_rate=0.05, steps=25, feature_block=16)
drag_one = partial(drag_by_recipe, recipe="published")
HANDLE, TARGET = [[14.0, 12.0]], [[14.0, 20.0]]


@pytest.fixture(scope="module")
def start(tiny_generator: Generator) -> np.ndarray:
    z = jax.random.normal(jax.random.key(4), (1, tiny_generator.config.z_dim))
    return np.asarray(tiny_generator.mapping(z))[0]


def test_trace_and_result(tiny_generator: Generator, start: np.ndarray) -> None:
    seen = []
    result = drag_one(
        tiny_generator,
        start,
        HANDLE,
        TARGET,
        settings=SETTINGS,
        on_progress=lambda step, handles: seen.append((step, handles.shape)),
    )
    steps = result.steps
    assert 1 <= steps <= 25
    assert result.trace is not None
    assert result.ws is not None
    assert result.trace.handles_yx.shape == (steps, 1, 2)
    traced = result.traced_latents().ws
    assert traced.shape == (steps, *start.shape)
    np.testing.assert_array_equal(result.ws, traced[-1])
    np.testing.assert_array_equal(result.ws[6:], start[6:])
    assert result.outcome in (Outcome.REACHED, Outcome.STEP_LIMIT)
    assert seen == [(step, (1, 2)) for step in range(1, steps + 1)]
    assert f"{result.outcome.label} after {steps} steps" in repr(result)
    if result.outcome == Outcome.REACHED:
        assert result.distances.max() <= 2.0
        np.testing.assert_array_equal(traced[-1], traced[-2])
    else:
        assert steps == 25


def test_a_handle_at_its_target_stops_at_once(tiny_generator: Generator, start: np.ndarray) -> None:
    result = drag_one(tiny_generator, start, HANDLE, [[14.4, 13.0]], settings=SETTINGS)
    assert result.outcome == Outcome.REACHED
    assert result.steps == 1
    np.testing.assert_array_equal(result.ws, start)


def test_a_finer_tolerance_goes_on(tiny_generator: Generator, start: np.ndarray) -> None:
    """Below the published 2 px, and below the 1 px where the published loop stops to pull."""
    settings = dataclasses.replace(SETTINGS, tolerance=0.5)
    result = drag_one(tiny_generator, start, HANDLE, [[14.0, 13.0]], settings=settings)
    assert result.steps > 1
    assert result.trace is not None
    assert result.trace.loss[0] > 0
    if result.outcome == Outcome.REACHED:
        assert result.distances.max() <= 0.5


def test_the_step_cap_is_exact(tiny_generator: Generator, start: np.ndarray) -> None:
    settings = dataclasses.replace(SETTINGS, learning_rate=1e-6, steps=13)
    result = drag_one(tiny_generator, start, HANDLE, [[30.0, 30.0]], settings=settings)
    assert result.outcome == Outcome.STEP_LIMIT
    assert result.steps == 13


def test_pca_stays_in_its_span(tiny_generator: Generator, start: np.ndarray) -> None:
    space = fit_pca(tiny_generator, samples=500, layers=4).truncated(3)
    result = drag_one(tiny_generator, start, HANDLE, TARGET, space=space, settings=SETTINGS)
    moved = result.latents.ws[:4] - start[:4]
    inside = moved @ np.asarray(space.components).T @ np.asarray(space.components)
    assert np.abs(moved).max() > 1e-3
    np.testing.assert_allclose(inside, moved, atol=1e-4)


def test_not_finite_is_an_outcome(tiny_generator: Generator, start: np.ndarray) -> None:
    values = parameters(tiny_generator)
    values["synthesis.b16.conv1.bias"] = values["synthesis.b16.conv1.bias"] * jnp.nan
    broken = build_generator(tiny_generator.config, values)
    result = drag_one(broken, start, HANDLE, TARGET, settings=SETTINGS)
    assert result.outcome == Outcome.NOT_FINITE
    assert result.steps == 1
    np.testing.assert_array_equal(result.ws, start)


def test_no_retrace(tiny_generator: Generator, start: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Further iterations, other points, latents, rates and lengths run the program that was compiled first."""
    traced = []
    original = supervision.motion_loss
    monkeypatch.setattr(supervision, "motion_loss", lambda *args: traced.append(1) or original(*args))
    own = DragSettings(feature_block=8, radius_motion=30.0)  # a program that no other test runs
    settings = dataclasses.replace(own, learning_rate=1e-4, steps=23)
    drag_one(tiny_generator, start, HANDLE, [[30.0, 30.0]], settings=settings)
    first = len(traced)
    assert first > 0
    other = dataclasses.replace(own, learning_rate=2e-4, steps=7, mask_weight=1.0)
    drag_one(tiny_generator, start * 0.9, [[3.0, 4.0]], [[3.0, 20.0]], settings=other)
    assert len(traced) == first


@pytest.mark.parametrize(
    ("handles", "targets", "message"),
    [
        ([[1, 1], [2, 2]], [[3, 3]], "2 handles and 1 targets"),
        ([[1, 32]], [[3, 3]], "x=32, y=1, outside"),
        ([[1, 1]], [[-0.5, 3]], "targets hold the point x=3, y=-0.5"),
        ([[np.nan, 1]], [[3, 3]], "outside"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one point"),
    ],
)
def test_bad_points(tiny_generator: Generator, handles, targets, message: str) -> None:
    request = EditRequest(latents=np.zeros((8, 16)), handles_yx=handles, targets_yx=targets)
    with pytest.raises(EditError, match=message):
        make_edit(tiny_generator, request, "published")


@pytest.mark.parametrize("white", [1, 1.0, 255, True], ids=["whole", "float", "bytes", "bool"])
def test_masks_of_any_type(tiny_generator: Generator, white) -> None:
    mask = np.zeros((32, 32), np.uint8 if white == 255 else type(white))
    mask[24:] = white
    request = EditRequest(latents=np.zeros((8, 16)), handles_yx=HANDLE, targets_yx=TARGET, mask=mask)
    made = make_edit(tiny_generator, request, "published")
    assert made.arrays["mask"].dtype == np.float32
    np.testing.assert_array_equal(made.arrays["mask"], np.repeat(np.arange(32) >= 24, 32).reshape(32, 32))


def test_bad_masks_and_settings(tiny_generator: Generator, start: np.ndarray) -> None:
    with pytest.raises(EditError, match="the image is 32"):
        drag_one(tiny_generator, start, HANDLE, TARGET, mask=np.zeros((16, 16)))
    with pytest.raises(EditError, match="both 0"):
        drag_one(tiny_generator, start, HANDLE, TARGET, mask=np.ones((32, 32)))
    with pytest.raises(EditError, match="a patch larger than the image"):
        drag_one(tiny_generator, start, HANDLE, TARGET, settings=DragSettings(radius_motion=1e6))
    with pytest.raises(EditError, match="feature block 64"):
        drag_one(tiny_generator, start, HANDLE, TARGET, settings=DragSettings(feature_block=64))
    wrong: list[dict[str, Any]] = [{"learning_rate": 0.0}, {"steps": 2.5}, {"mask_weight": np.inf}, {"noise": "random"}]
    for changed in wrong:
        with pytest.raises(EditError, match=next(iter(changed))):
            drag_one(tiny_generator, start, HANDLE, TARGET, settings=DragSettings(**changed))
    with pytest.raises(EditError, match="not an array"):
        drag_one(tiny_generator, start, [[1, 2], [3]], TARGET)
    with pytest.raises(EditError, match="shape"):
        drag_one(tiny_generator, start[:3], HANDLE, TARGET)
    with pytest.raises(EditError, match="not finite"):
        drag_one(tiny_generator, start * np.inf, HANDLE, TARGET)
    with pytest.raises(SpaceError, match="layers is 20"):
        drag_one(tiny_generator, start, HANDLE, TARGET, space=WPlus(layers=20))
