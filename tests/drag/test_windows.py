"""Windows give the numbers of the whole map, values and gradients, wherever the handles lie."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.benchmarks.case import random_model
from dragspace_jax.drag import DragResult, DragSettings, EditError, recipes
from dragspace_jax.drag import drag_one as drag_by_recipe
from dragspace_jax.drag.supervision import MotionSupervision
from dragspace_jax.networks import nearer
from dragspace_jax.spaces import WPlus
from dragspace_jax.stylegan2.config import Architecture, GeneratorConfig, channel_table
from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.network import PreparedSynthesis, make_plan
from dragspace_jax.stylegan2.windows import BlockWindow, window_chain

TOLERANCE = 1e-5
drag_one = partial(drag_by_recipe, recipe="published")


def random_generator(resolution: int, architecture: Architecture = "skip") -> Generator:
    """Narrow, with random weights, biases and noise strengths."""
    config = GeneratorConfig(
        resolution=resolution,
        channels=channel_table(resolution, 8 * resolution, 8),
        z_dim=8,
        w_dim=8,
        mapping_layers=1,
        architecture=architecture,
    )
    return random_model(config)


def places(side: int) -> np.ndarray:
    """Handles inside, at each border and in each corner, and some whose windows overlap: float32 [N, 2]."""
    last, middle, near = side - 1, side // 2, min(3, side // 4)
    inside = [(middle, middle), (middle, middle + near), (middle + 1, middle - near), (side // 3, 2 * side // 3)]
    borders = [(0, middle), (last, middle), (middle, 0), (middle, last), (near, middle), (middle, last - near)]
    corners = [(0, 0), (0, last), (last, 0), (last, last), (near, near), (last - near, last - near)]
    return np.array(inside + borders + corners, np.float32)


def relative_error(actual: jax.Array, expected: jax.Array) -> float:
    return float(jnp.abs(actual - expected).max() / jnp.abs(expected).max())


def about(config: GeneratorConfig, settings: DragSettings, per_image: float) -> dict[str, Any]:
    """What a prepared network hangs on, for so many handles an image."""
    resolved = settings.resolved(config)
    return {
        "block": resolved.feature_block,
        "reach": MotionSupervision().reach(resolved, config.resolution),
        "handles": per_image,
        "windows": resolved.engine == "window",
    }


@jax.jit
def patches_and_gradient(network: PreparedSynthesis, styles: dict) -> tuple[jax.Array, dict]:
    """All that tracking and motion may read around each place, and the gradient of a random sum of it."""
    handles = jnp.asarray(places(network.grid.side))
    lane = jnp.zeros(len(handles), jnp.int32)
    reach = network.reach
    first = handles.astype(jnp.int32) - reach - 1

    def weighed(styles: dict) -> tuple[jax.Array, jax.Array]:
        patches = network.features(styles, handles, lane).patches(first, 2 * reach + 2)
        weights = jax.random.normal(jax.random.key(1), patches.shape)
        return jnp.sum(weights * patches), patches

    gradient, patches = jax.grad(weighed, has_aux=True)(styles)
    return patches, gradient


def compare(model: Generator, settings: DragSettings, per_image: int, platform: str = "cpu") -> None:
    windowed, whole = (
        model.prepare(
            **about(model.config, dataclasses.replace(settings, engine=engine), per_image),
            noise="const",
            dtype="float32",
            platform=platform if engine == "window" else "cpu",
        )
        for engine in ("window", "whole")
    )
    ws = jax.random.normal(jax.random.key(2), (1, model.config.num_ws, model.config.w_dim))
    styles = model.synthesis.styles(ws, model.synthesis.names_up_to(whole.plan.top))
    patches, gradient = patches_and_gradient(windowed, styles)
    expected, expected_gradient = patches_and_gradient(whole, styles)
    assert relative_error(patches, expected) <= TOLERANCE
    for name, each in expected_gradient.items():
        assert relative_error(gradient[name], each) <= TOLERANCE, name


@pytest.mark.parametrize("resolution", [8, 16, 32, 64, 128, 256, 512, 1024])
def test_every_resolution(resolution: int) -> None:
    compare(random_generator(resolution), DragSettings(), per_image=1)


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_every_architecture(architecture: Architecture) -> None:
    compare(random_generator(64, architecture), DragSettings(), per_image=1)


@pytest.mark.parametrize("block", [4, 16, 64, 128])
def test_every_feature_block(block: int) -> None:
    compare(random_generator(128), DragSettings(feature_block=block), per_image=1)


@pytest.mark.parametrize("per_image", [3, 16])
def test_blocks_that_handles_share(per_image: int) -> None:
    compare(random_generator(256), DragSettings(radius_track=5.0, radius_motion=9.0), per_image=per_image)


@pytest.mark.parametrize(("resolution", "architecture", "per_image"), [(64, "resnet", 1), (256, "skip", 3)])
def test_the_way_of_accelerators(resolution: int, architecture: Architecture, per_image: int) -> None:
    """What is compiled for them, run here."""
    compare(random_generator(resolution, architecture), DragSettings(), per_image, platform="tpu")


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_the_way_back_may_be_narrower(platform: str) -> None:
    """Values known from wide windows, derivatives by narrow ones around other points, which lie anywhere within."""
    model, reach = random_generator(128), 3
    wide = about(model.config, DragSettings(radius_track=60.0), 1)
    network = model.prepare(**wide, noise="const", dtype="float32", platform=platform)
    handles = places(128)
    farthest = network.reach - reach - 1
    moved = np.random.RandomState(0).randint(-farthest, farthest + 1, handles.shape)
    points = jnp.asarray(np.clip(handles + moved, 0, 127), jnp.float32)
    lane, first = jnp.zeros(len(handles), jnp.int32), points.astype(jnp.int32) - reach - 1
    ws = jax.random.normal(jax.random.key(2), (1, model.config.num_ws, model.config.w_dim))
    styles = model.synthesis.styles(ws, model.synthesis.names_up_to(network.plan.top))
    sides = []

    def weighed(styles: dict, narrow: bool) -> tuple[jax.Array, jax.Array]:
        reader = network.features(styles, jnp.asarray(handles), lane)
        reader = nearer(network, reader, styles, points, lane, reach) if narrow else reader
        sides.append(reader.features.shape[1])
        patches = reader.patches(first, 2 * reach + 2)
        return jnp.sum(patches * jax.random.normal(jax.random.key(1), patches.shape)), patches

    way_back = jax.jit(jax.grad(weighed, has_aux=True), static_argnums=1)
    (expected_gradient, expected), (gradient, patches) = (way_back(styles, narrow) for narrow in (False, True))
    assert sides[1] < sides[0]
    assert relative_error(patches, expected) <= TOLERANCE
    for name, each in expected_gradient.items():
        assert relative_error(gradient[name], each) <= TOLERANCE, name


def test_sizes_of_the_design() -> None:
    """The windows of docs/design.md#exact-windows, 512 px, one handle."""
    config = GeneratorConfig(resolution=512, channels=channel_table(512, 32768, 512))
    plan = make_plan(config, **about(config, DragSettings(), 1))
    assert [(w.resolution, w.gives, w.between, w.reads) for w in plan.blocks] == [
        (16, 8, 10, 8),
        (32, 8, 10, 8),
        (64, 9, 11, 8),
        (128, 10, 12, 9),
    ]
    assert make_plan(config, **about(config, DragSettings(), 4)).blocks[0].resolution == 32
    assert make_plan(config, **about(config, DragSettings(), 1000)).blocks == ()
    assert window_chain(config, 8, 4) == [BlockWindow(resolution=8, reads=6, gives=4)]


def test_one_drag_by_both_engines() -> None:
    model = random_generator(64)
    ws = np.random.RandomState(3).randn(model.config.num_ws, model.config.w_dim)
    handles, targets = [[20.0, 30.0], [40.0, 33.0]], [[30.0, 28.0], [44.0, 20.0]]
    settings = DragSettings(learning_rate=0.02, steps=20, feature_block=32)
    results = [
        drag_one(model, ws, handles, targets, settings=dataclasses.replace(settings, engine=engine))
        for engine in ("whole", "window")
    ]
    assert results[0].trace is not None
    assert results[1].trace is not None
    np.testing.assert_array_equal(results[0].trace.handles_yx, results[1].trace.handles_yx)
    np.testing.assert_allclose(results[0].traced_latents().ws, results[1].traced_latents().ws, atol=1e-3)


@pytest.mark.parametrize("recipe", ["published", "least-change"])
def test_one_drag_as_accelerators_run_it(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_generator(64)
    ws = np.random.RandomState(3).randn(model.config.num_ws, model.config.w_dim)
    steps = {"learning_rate": 0.02} if recipe == "published" else {}
    chosen = recipes.complete_settings(recipe, 64, {"steps": 6, **steps})
    edit = {"space": WPlus(), "settings": dataclasses.replace(chosen, engine="window")}

    def drag() -> DragResult:
        return drag_by_recipe(model, ws, [[20.0, 30.0]], [[44.0, 28.0]], **edit)

    here, prepare = drag(), Generator.prepare
    monkeypatch.setattr(Generator, "prepare", lambda model, **about: prepare(model, **{**about, "platform": "tpu"}))
    there = drag()
    assert here.trace is not None
    assert there.trace is not None
    np.testing.assert_allclose(there.trace.handles_yx, here.trace.handles_yx, atol=1e-2)
    np.testing.assert_allclose(there.traced_latents().ws, here.traced_latents().ws, atol=1e-3)


def test_a_mask_needs_the_whole_map() -> None:
    model = random_generator(16)
    mask = np.zeros((16, 16), np.float32)
    mask[8:] = 1
    ws = np.zeros((model.config.num_ws, model.config.w_dim))
    with pytest.raises(EditError, match="mask needs 'whole'"):
        drag_one(model, ws, [[4, 4]], [[6, 6]], mask=mask, settings=DragSettings(engine="window"))
    assert drag_one(model, ws, [[4, 4]], [[9, 9]], mask=mask, settings=DragSettings(steps=2)).steps == 2
    wrong = dataclasses.replace(DragSettings(), engine="tiles")  # pyright: ignore[reportArgumentType]
    with pytest.raises(EditError, match="engine is 'tiles'"):
        drag_one(model, ws, [[4, 4]], [[6, 6]], settings=wrong)
