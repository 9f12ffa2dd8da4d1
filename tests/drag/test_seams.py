"""Every seam of a drag takes a part of a few lines: network, space, objective, direction, step size."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.drag import DragSettings, EditRequest, Method, Outcome, drag_many, drag_one, loop, make_edit
from dragspace_jax.drag.directions import Adam
from dragspace_jax.drag.programs import programs_for
from dragspace_jax.drag.state import Lanes
from dragspace_jax.drag.step_sizes import Rate
from dragspace_jax.drag.supervision import MotionSupervision
from dragspace_jax.drag.table import Table
from dragspace_jax.inputs import read_latents
from dragspace_jax.results import write_latents
from dragspace_jax.spaces import WPlus
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.rendering import render_images

from .doubles import SIDE, ImageMatch, Newton, Offsets, Positions, TrustRegion, Whole, waves

NEWTON = Method(objective=Positions(), direction=Newton(), size=Rate())


def settings(**changes: Any) -> DragSettings:
    return DragSettings(**{"feature_block": SIDE, "engine": "whole", "tolerance": 0.05, **changes})


def test_a_toy_network_is_dragged_by_the_published_loop() -> None:
    """Features between whole numbers of pixels, a margin, no StyleGAN2 anywhere."""
    published = settings(learning_rate=0.05, steps=120, tolerance=1.0, radius_track=40.0, radius_motion=30.0)
    result = drag_one(waves(), np.zeros(4), [[18, 14]], [[12, 22]], space=Whole(), settings=published)
    assert result.outcome == Outcome.REACHED
    moved = np.asarray(waves().shift(jnp.asarray(result.latents)[None]))[0]
    np.testing.assert_allclose(moved, [-6, 8], atol=1.5)
    assert result.trace is not None
    np.testing.assert_array_equal(result.traced_latents()[-1], result.latents)


def test_an_objective_that_matches_an_image() -> None:
    target = waves().image({"z": jnp.asarray([[0.4, -0.3, 0.2, 0.0]])})[0]
    method = Method(objective=ImageMatch(), direction=Adam(), size=Rate())
    edit = EditRequest(
        latents=np.zeros(4),
        handles_yx=[[0, 0]],
        targets_yx=[[0, 0]],
        arrays={"image": target},
        space=Whole(),
        settings=settings(method=method, learning_rate=0.02, steps=200),
    )
    (result,) = drag_many(waves(), [edit])
    assert result.outcome == Outcome.REACHED
    image = waves().image({"z": jnp.asarray(result.latents)[None]})[0]
    assert float(jnp.mean(jnp.square(image - target))) < 1e-4


def test_an_exact_newton_step_arrives_at_once() -> None:
    """Two handles of one edit ask for one move, six of another for one as well; both arrive in the first step."""
    handles = np.random.RandomState(1).randint(4, 30, (6, 2))
    edits = [
        EditRequest(
            id=str(count),
            latents=np.full(4, 0.1 * count),
            handles_yx=handles[:count],
            targets_yx=handles[:count] + np.asarray(waves().shift(jnp.full((1, 4), 0.1 * count))) + [3.0, -2.0],
            space=Whole(),
            settings=settings(method=NEWTON, steps=5),
        )
        for count in (2, 6)
    ]
    for result in drag_many(waves(), edits, lanes=2, trace=True):
        assert result.outcome == Outcome.REACHED
        assert result.steps == 2, "the step, and the iteration that sees it"
        assert result.trace is not None
        start = result.trace.loss[0]
        np.testing.assert_allclose(start, 13 * len(result.distances), rtol=1e-4)


def test_a_solver_that_goes_back_and_arrives() -> None:
    """Where positions bend, whole steps overshoot; rejected evaluations count, and the drag arrives all the same."""
    bent = Method(objective=Positions(bend=0.9), direction=Newton(), size=TrustRegion(radius=9.0))
    edit = EditRequest(
        latents=np.array([1.6, 0.0, 0.0, 0.0]),
        handles_yx=[[18, 14]],
        targets_yx=[[9, 20]],
        space=Whole(),
        settings=settings(method=bent, steps=60),
    )
    model = waves()
    lanes, state = begun(model, edit)
    step = jax.jit(lambda lanes, state: loop.step(model, lanes, state))
    losses = []
    while int(state.outcome[0]) == Outcome.RUNNING:
        state, _ = step(lanes, state)
        losses.append(float(state.accepted.loss[0]))
    assert int(state.outcome[0]) == Outcome.REACHED
    assert int(state.size["rejected"][0]) >= 1
    assert losses == sorted(losses, reverse=True), "a rejected trial leaves the accepted point as it was"
    (result,) = drag_many(model, [edit])
    assert (result.outcome, result.steps) == (Outcome.REACHED, len(losses))
    np.testing.assert_allclose(result.latents, lanes_latents(lanes, state), atol=1e-4)
    wider = loop.begin(model, Table(make_edit(model, edit), lanes=2, handles=5).start())
    after, _ = jax.eval_shape(step, *wider)  # what it goes back to is by handle, where these are not one a lane
    assert after.accepted.terms.value.shape == (5, 2)


def begun(model: Any, request: EditRequest, rows: int = 1) -> tuple[Lanes, Any]:
    """One lane that has begun."""
    table = Table(make_edit(model, request), lanes=1, handles=rows)
    table.put(0, make_edit(model, request))
    return loop.begin(model, table.start())


def lanes_latents(lanes: Lanes, state: Any) -> np.ndarray:
    return np.asarray(loop.latents(lanes, state)[1])[0]


@pytest.mark.parametrize("direction", [Adam(), Newton()], ids=["shared coordinates", "a copy for each handle"])
def test_handles_cost_what_they_cost_alone(tiny_generator: Generator, direction: Any) -> None:
    """Twelve handles of one edit take no more than 1.2 times the multiply-adds of twelve edits with one."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Residuals(MotionSupervision):
        """The motion loss of each handle as two residuals, so that rows are pulled through the windows."""

        def evaluate(self, *arguments: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            terms, found = super().evaluate(*arguments)
            assert terms.handles is not None
            return dataclasses.replace(terms, handles=jnp.stack([terms.handles] * 2, 1)), found

    objective = MotionSupervision() if isinstance(direction, Adam) else Residuals()
    jax.tree_util.register_static(Residuals)
    method = Method(objective=objective, direction=direction, size=Rate())
    chosen = DragSettings(method=method, feature_block=32, radius_track=20.0)

    def flops(handles: int) -> float:
        points = np.random.RandomState(0).randint(8, 24, (handles, 2))
        request = EditRequest(
            latents=np.zeros((8, 16)), handles_yx=points, targets_yx=points + 4, space=WPlus(layers=6), settings=chosen
        )
        edit = make_edit(tiny_generator, request)
        table = Table(edit, lanes=1, handles=handles)
        programs = programs_for((jax.devices()[0],), 8, False)
        network, lanes, state = programs.shapes(tiny_generator, edit, handles, table.start())
        cost = jax.jit(loop.step).lower(network, lanes, state).cost_analysis()
        return cost["flops"]  # pyright: ignore[reportOptionalSubscript, reportCallIssue, reportArgumentType]

    assert flops(12) <= 1.2 * 12 * flops(1)


def test_an_edit_in_style_space_is_moved_returned_stored_chained_and_rendered(
    tiny_generator: Generator, tmp_path: Any
) -> None:
    name, width = "b16.conv1", tiny_generator.synthesis.style_channels()["b16.conv1"]
    start = Latents(ws=np.asarray(tiny_generator.mapping(jnp.ones((1, 16))))[0], offsets={name: np.zeros(width)})
    how = DragSettings(learning_rate=0.02, steps=4)
    first = drag_one(tiny_generator, start, [[14, 12]], [[14, 20]], space=Offsets(layer=name), settings=how)
    np.testing.assert_array_equal(first.latents.ws, start.ws)
    assert np.abs(first.latents.offsets[name]).max() > 0.01
    np.testing.assert_array_equal(first.latents.offsets[name], first.traced_latents().offsets[name][-1])

    write_latents(tmp_path / "latents.npz", first.latents, first.start, "fingerprint")
    again = read_latents(tmp_path / "latents.npz", tiny_generator)
    np.testing.assert_array_equal(again.offsets[name], first.latents.offsets[name])

    second = drag_one(tiny_generator, again, [[14, 12]], [[14, 20]], space=WPlus(layers=2), settings=how)
    np.testing.assert_array_equal(second.latents.offsets[name], again.offsets[name])
    assert np.abs(second.latents.ws - again.ws).max() > 0.01

    pictures = render_images(tiny_generator, Latents.stack([start, first.latents]))
    assert np.abs(pictures[0] - pictures[1]).max() > 1e-3
    plain = render_images(tiny_generator, start.ws[None])
    np.testing.assert_allclose(pictures[0], plain[0], atol=1e-5)
