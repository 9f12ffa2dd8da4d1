"""The least-change drag on networks whose handles are known to move linearly, and on a small real one."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.drag import DragResult, DragSettings, EditRequest, Method, Outcome, drag_many, make_edit
from dragspace_jax.drag.least_change import LeastChange
from dragspace_jax.drag.loop import begin, evaluate
from dragspace_jax.drag.patch_tracking import PatchTracking
from dragspace_jax.drag.state import ByHandle
from dragspace_jax.drag.table import Table
from dragspace_jax.drag.trust_region import TrustRegion
from dragspace_jax.networks import Grid, PatchReader, Styles

from .doubles import Whole, waves

SIDE, WIDTH = 64, 6
MOST = 1e6  # the largest weight of the image that is tried, and taken where the stretch allows it
WEAK = 0.1**0.5  # of the right half's motion


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Ramp:
    """Features are q − B z [2], B [2, D]: handles move by B z; in the right half of the image by a share of it."""

    moves: jax.Array

    @property
    def config(self) -> Any:
        return _Config()

    @property
    def grid(self) -> Grid:
        return Grid.over(SIDE, SIDE)

    @property
    def channels(self) -> int:
        return 2

    def check_latents(self, latents: Any) -> np.ndarray:
        return np.array(latents, np.float32)

    def prepare(self, **about: Any) -> Ramp:
        return self

    def styles(self, latents: Any, names: Any = None) -> Styles:
        return {"z": latents}

    def image(self, styles: Styles) -> jax.Array:
        raise NotImplementedError  # nobody looks

    preview = image

    def features(self, styles: Styles, points_yx: jax.Array, image: jax.Array) -> PatchReader:
        pixels = jnp.arange(SIDE, dtype=jnp.float32)
        places = jnp.stack(jnp.meshgrid(pixels, pixels, indexing="ij"), -1)
        share = jnp.where(places[..., 1:] < SIDE / 2, 1.0, WEAK)
        shift = jnp.einsum("id,bd->bi", self.moves, styles["z"], precision=jax.lax.Precision.HIGHEST)
        features = places[None] - share[None] * shift[:, None, None, :]
        return PatchReader(features=features, origin_yx=None, image=image, grid=self.grid)


@dataclasses.dataclass(frozen=True)
class _Config:
    resolution: int = SIDE
    block_resolutions: tuple[int, ...] = (SIDE,)
    has_windows: bool = True


def ramp() -> Ramp:
    return Ramp(moves=jnp.asarray(np.random.RandomState(0).randn(2, WIDTH), jnp.float32))


def axes(seed: int = 1) -> dict[str, np.ndarray]:
    """A metric in its own axes."""
    rotation = np.linalg.qr(np.random.RandomState(seed).randn(WIDTH, WIDTH))[0]
    return {"rotation": rotation, "spectrum": np.linspace(0.0, 6.0, WIDTH) / MOST}


def settings(*, damping: float = 0.0, first: float = 1e6, **changes: Any) -> DragSettings:
    method = Method(
        objective=PatchTracking(),
        direction=LeastChange(damping=damping, stretch=1e6),
        size=TrustRegion(side=SIDE, first=first, most=first),
    )
    return DragSettings(feature_block=SIDE, engine="whole", tolerance=0.02, radius_track=64.0, method=method, **changes)


def drag(handles: Any, targets: Any, arrays: Any = None, **changes: Any) -> DragResult:
    edit = EditRequest(
        latents=np.zeros(WIDTH),
        handles_yx=handles,
        targets_yx=targets,
        space=Whole(),
        arrays=axes() if arrays is None else arrays,
        settings=settings(**changes),
    )
    (result,) = drag_many(ramp(), [edit])
    return result


def test_linear_motion_arrives_in_one_step() -> None:
    result = drag([[20, 12]], [[23.25, 9.5]])
    assert result.outcome == Outcome.REACHED
    assert result.steps == 2, "the step, and the iteration that sees it"


def test_the_end_is_the_least_change() -> None:
    """H (c − c₀) lies in the span of the handles' rows."""
    result = drag([[20, 12]], [[23.25, 9.5]], steps=10)
    metric = axes()
    h = np.eye(WIDTH) + MOST * metric["rotation"] @ np.diag(metric["spectrum"]) @ metric["rotation"].T
    force, rows = h @ np.asarray(result.latents), np.asarray(ramp().moves)
    rest = force - rows.T @ np.linalg.lstsq(rows.T, force, rcond=None)[0]
    assert np.linalg.norm(rest) < 1e-3 * np.linalg.norm(force)


@pytest.mark.parametrize("damping", [0.02, 0.3])
def test_damping_does_not_keep_handles_from_arriving(damping: float) -> None:
    """Nor one whose rows are a tenth of the others' in S, both asking for what one change can give."""
    wanted = np.array([3.0, -2.5])
    result = drag([[20, 12], [30, 50]], [[23.0, 9.5], [30 + 3.0 * WEAK, 50 - 2.5 * WEAK]], damping=damping, steps=60)
    assert result.outcome == Outcome.REACHED
    np.testing.assert_allclose(np.asarray(ramp().moves) @ np.asarray(result.latents), wanted, atol=0.1)


def test_steps_stay_within_the_radius() -> None:
    result = drag([[20, 12]], [[32, 12]], first=8.0, steps=20)  # a pixel of this image at first
    assert result.outcome == Outcome.REACHED
    assert result.trace is not None
    moved = np.linalg.norm(np.diff(result.trace.handles_yx[:, 0], axis=0), axis=1)
    assert moved[0] == pytest.approx(1.0, rel=5e-3)


def test_rows_are_the_derivatives_of_the_tracked_places() -> None:
    """Against differences, where the patch is found again exactly: waves only shift."""
    network, eps = waves(), 1e-2
    method = Method(objective=PatchTracking(), direction=LeastChange(), size=TrustRegion(side=36))
    about = DragSettings(feature_block=36, engine="whole", tolerance=0.1, radius_track=40.0, method=method)
    request = EditRequest(
        latents=np.zeros(4),
        handles_yx=[[18, 14], [9, 25]],
        targets_yx=[[12, 22], [9, 20]],
        space=Whole(),
        settings=about,
    )
    edit = make_edit(network, request)
    table = Table(edit, lanes=1, handles=2)
    table.put(0, edit)
    lanes, state = begin(network, table.start())
    found_at = jax.jit(evaluate)
    start = found_at(network, lanes, state)
    rows = np.asarray(start.pulled.value)
    for axis in range(4):
        moved = dataclasses.replace(
            state,
            candidate=state.candidate.at[0, axis].add(eps),
            accepted=start,
            predicted=ByHandle(lanes.handles.start_yx),
            iteration=state.iteration + 1,
        )
        places = np.asarray(found_at(network, lanes, moved).progress.handles_yx)
        found = (places - np.asarray(edit.handles_yx)) / eps
        np.testing.assert_allclose(rows[:, :, axis], found, atol=0.1)
        known = np.asarray(network.moves)[:, axis]
        np.testing.assert_allclose(rows[:, :, axis], np.broadcast_to(known, (2, 2)), atol=0.06)


def test_lanes_change_nothing(tiny_generator: Any) -> None:
    requests = tiny_requests(tiny_generator, 6)
    together = {result.id: result for result in drag_many(tiny_generator, requests, lanes=4)}
    for request in requests[:2]:
        (alone,) = drag_many(tiny_generator, [request], lanes=1)
        assert alone.outcome == together[request.id].outcome
        np.testing.assert_allclose(alone.latents.ws, together[request.id].latents.ws, atol=2e-4)


def test_no_drag_ends_in_numbers_that_are_not_finite(tiny_generator: Any) -> None:
    for result in drag_many(tiny_generator, tiny_requests(tiny_generator, 500), lanes=64):
        assert result.outcome != Outcome.NOT_FINITE
        assert np.isfinite(result.latents.ws).all()


def tiny_requests(model: Any, count: int) -> list[EditRequest]:
    """Drags of random points to random places, most of which nothing can reach."""
    from dragspace_jax.spaces import WPlus

    random = np.random.RandomState(2)
    ws = np.asarray(model.mapping(jnp.asarray(random.randn(count, model.config.z_dim), jnp.float32)))
    method = Method(objective=PatchTracking(), direction=LeastChange(), size=TrustRegion(side=32))
    about = DragSettings(feature_block=8, steps=8, tolerance=0.5, radius_track=64.0, method=method)
    points = random.randint(0, 32, (count, 2, 1, 2))
    return [
        EditRequest(
            id=str(i),
            latents=ws[i],
            handles_yx=points[i, 0],
            targets_yx=points[i, 1],
            space=WPlus(layers=3),
            settings=about,
        )
        for i in range(count)
    ]


def test_the_stretch_bounds_the_change() -> None:
    """1 gives the shortest change, whatever the image says; more gives one no longer than that, which costs less."""
    rotation, spectrum = axes()["rotation"], np.linspace(0.0, 6.0, WIDTH)
    lengths, costs = [], []
    for stretch in (1.0, 1.2, 3.0):
        method = dataclasses.replace(settings().method, direction=LeastChange(damping=0.0, stretch=stretch))
        request = EditRequest(
            latents=np.zeros(WIDTH),
            handles_yx=[[20, 12]],
            targets_yx=[[23.25, 9.5]],
            space=Whole(),
            arrays={"rotation": rotation, "spectrum": spectrum},
            settings=dataclasses.replace(settings(), method=method),
        )
        (result,) = drag_many(ramp(), [request])
        change = np.asarray(result.latents)
        lengths.append(np.linalg.norm(change))
        costs.append(float(spectrum @ np.square(change @ rotation)))
    assert lengths[1] <= 1.2 * lengths[0] * 1.001
    assert lengths[2] <= 3.0 * lengths[0] * 1.001
    assert costs[0] > costs[1] > costs[2]
