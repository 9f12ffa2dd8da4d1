"""What is said of a finished edit: figures that mean what they say, alone and in groups, and a verdict."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.drag import DragResult, DragSettings, EditRequest, Outcome, make_edit
from dragspace_jax.drag.measure import measure
from dragspace_jax.drag.quality import Quality, Thresholds, excess, flagged, stacked
from dragspace_jax.metrics.change import away_from, weighted_mean
from dragspace_jax.spaces import WPlus
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images

from .doubles import SIDE, Whole, waves

GOOD = Quality(
    reached=True,
    side=128,
    tolerance_px=2.0,
    left_px=(1.0, 0.5),
    residual=(0.2, 0.1),
    back_px=(0.3, 0.0),
    start_distance=0.97,
    distance=1.1,
    start_quantile=0.6,
    quantile=0.8,
    change_outside=0.004,
)


def ended(model: Any, start: Any, latents: Any, handles_yx: Any, tracked_yx: Any, **about: Any) -> DragResult:
    """A drag that ended there, its handles tracked there, which are the targets as well."""
    request = EditRequest(latents=start, handles_yx=handles_yx, targets_yx=tracked_yx, **about)
    edit = make_edit(model, request)
    return DragResult(
        id="",
        outcome=Outcome.REACHED,
        edit=edit,
        model=model,
        start=edit.latents,
        latents=latents,
        handles_yx=np.asarray(tracked_yx, np.float32),
        targets_yx=edit.targets_yx,
    )


def test_a_handle_that_was_lost_is_told_from_one_that_was_followed() -> None:
    model, moved = waves(), np.array([1.0, 1.0, 0.0, 0.0], np.float32)
    way = np.asarray(model.shift(jnp.asarray(moved)[None]))[0]
    how = {"space": Whole(), "settings": DragSettings(feature_block=SIDE, engine="whole", radius_track=60.0)}
    handles = np.array([[18.0, 14.0], [12.0, 20.0]])
    wrong = [[0.0, 0.0], [3.0, 0.0]]
    found = measure([ended(model, np.zeros(4), moved, handles, handles + way + wrong, **how)])[0]
    assert found.residual[0] < 0.1 < 0.5 < found.residual[1]
    assert found.back_px[0] < 0.3
    assert found.back_px[1] == pytest.approx(3.0, abs=0.5)
    assert found.distance is None, "no W, no distance"
    assert "tracker" in found.failures()


def test_an_edit_that_changed_nothing(tiny_generator: Generator) -> None:
    ws = np.asarray(tiny_generator.mapping(jnp.ones((1, 16))))[0]
    mask = np.zeros((32, 32))
    mask[16:] = 1
    result = ended(tiny_generator, ws, ws, [[12, 14]], [[12, 14]], mask=mask, space=WPlus(layers=6))
    quality = dataclasses.replace(result, latents=result.start).quality
    assert quality is not None
    assert (quality.change_outside, quality.change_kept, quality.residual, quality.back_px) == (0, 0, (0,), (0,))
    assert quality.distance == quality.start_distance
    assert quality.verdict == "reached"


def test_groups_that_are_filled_up_measure_as_one_by_one(tiny_generator: Generator) -> None:
    random = np.random.RandomState(0)
    results = []
    for count in (1, 3):
        start, end = 0.3 * random.randn(2, 8, 16).astype(np.float32)
        start, end = (np.asarray(tiny_generator.check_latents(ws).ws) for ws in (start, end))
        result = ended(
            tiny_generator, start, None, random.randint(6, 26, (count, 2)), random.randint(6, 26, (count, 2)),
            space=WPlus(layers=6),
        )  # fmt: skip
        results.append(dataclasses.replace(result, latents=tiny_generator.check_latents(end)))
    alone = [measure([result], together=1)[0] for result in results]
    together = measure(results, together=3)
    for one, other in zip(alone, together, strict=True):
        assert len(one.residual) == len(other.residual)
        for name, figure in one.figures().items():
            assert other.figures()[name] == pytest.approx(figure, rel=1e-3, nan_ok=True), name
    edit, (before, after) = (
        results[1].edit,
        render_images(tiny_generator, np.stack([results[1].start.ws, results[1].latents.ws])),
    )
    assert edit is not None
    weights = away_from(edit.handles_yx, edit.targets_yx, 32, 32)
    change = weighted_mean(np.square(after - before).mean(-1), weights)
    assert together[1].change_outside == pytest.approx(change, rel=1e-3), "at 32 px the preview is the image"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "reached"),
        ({"distance": 9.0, "quantile": 1.0}, "reached, but far from anything the model was trained on"),
        ({"distance": 9.0, "quantile": 1.0, "start_distance": 9.5}, "reached"),
        ({"change_outside": 1.0}, "reached, but the background moved"),
        ({"change_kept": 1.0}, "reached, but what had to stay moved"),
        ({"residual": (0.1, 9.0)}, "reached, but the tracker lost a handle"),
        ({"reached": False, "left_px": (3.21, 0.5)}, "not reached: 3.2 px left"),
        ({"reached": False, "left_px": (1.9, 0.5)}, "not reached: 1.9 px left"),
        ({"reached": False, "change_outside": 1.0}, "not reached: 1.0 px left; the background moved"),
        (
            {"back_px": (9.0, 0.0), "change_outside": 1.0},
            "reached, but the tracker lost a handle and the background moved",
        ),
    ],
)
def test_the_verdict(changes: dict[str, Any], verdict: str) -> None:
    quality = dataclasses.replace(GOOD, **changes)
    assert quality.verdict == verdict
    assert quality.flagged == (verdict != "reached")
    assert (quality.severity > 1) == quality.flagged
    line = {"outcome": "reached" if quality.reached else "stalled", "distances_px": list(quality.left_px)}
    again = Quality.of({**line, "quality": quality.record()})
    assert again == quality
    assert Quality.of(line) is None


def test_thresholds_are_tried_on_arrays() -> None:
    far = dataclasses.replace(GOOD, distance=2.0, quantile=1.0)
    figures = stacked([GOOD, far, dataclasses.replace(far, residual=(0.5,)), dataclasses.replace(GOOD, distance=None)])
    assert flagged(figures, Thresholds(distance=1.9)).tolist() == [False, True, True, False]
    assert flagged(figures, Thresholds(distance=2.1, residual=0.4)).tolist() == [False, False, True, False]
    np.testing.assert_allclose(excess(figures, Thresholds(distance=2.0))["far"], [0, 1, 1, 0])
