"""The space of a region: what moves in it, where it comes from, and several images' in one program."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import dragspace_jax as ds
from dragspace_jax.drag.edit import EditRequest, make_edit
from dragspace_jax.drag.recipes import settings_of, space_of
from dragspace_jax.spaces.options import make_space, space_name, space_record
from dragspace_jax.stylegan2 import Generator

REGION = ds.box_region((4, 8, 10, 12), 32)
HANDLE, TARGET = np.array([[12.0, 8.0]]), np.array([[15.0, 8.0]])


def test_directions_become_axes_of_w(tiny_generator: Generator) -> None:
    directions = np.random.RandomState(0).randn(3, 16)
    space = ds.lowrank_space(tiny_generator, np.concatenate([directions, directions[:1]]), width=5, layers=2)
    space.check(tiny_generator)
    components = np.asarray(space.components, np.float64)
    assert not components[3:].any()
    np.testing.assert_allclose(components[:3] @ components[:3].T, np.eye(3), atol=1e-6)
    beyond = directions - directions @ components.T @ components
    assert np.abs(beyond).max() < 1e-5
    w = np.asarray(
        tiny_generator.mapping.trunk(jnp.asarray(np.random.RandomState(1).randn(4096, 16), jnp.float32), None)
    )
    np.testing.assert_allclose((w @ components[:3].T).var(0), space.variance[:3], rtol=0.15)
    moving = jnp.asarray(np.random.RandomState(2).randn(2, 16), jnp.float32)
    whitened = space.whitened()
    coordinates = whitened.coordinates(moving)
    residual = whitened.residual(moving, coordinates)
    np.testing.assert_allclose(residual + whitened.displaced(coordinates), moving, atol=1e-5)


@pytest.mark.parametrize("recipe", ["least-change", "published"])
def test_a_drag_moves_along_the_images_own_directions(tiny_generator: Generator, recipe: str) -> None:
    chosen = {"recipe": recipe, "space": "lowrank", "components": 4, "layers": 3, "steps": 2}
    space, settings = make_space(tiny_generator, space_of(chosen)), settings_of(chosen, 32)
    requests = [
        EditRequest(latents=ws, region=REGION, space=space, settings=settings, handles_yx=HANDLE, targets_yx=TARGET)
        for ws in ds.seed_latents(tiny_generator, [0, 1], psi=0.7)
    ]
    edits = [make_edit(tiny_generator, request) for request in requests]
    assert edits[0].program == edits[1].program
    first, second = (edit.space for edit in edits)
    assert isinstance(first, ds.LowRank)
    assert isinstance(second, ds.LowRank)
    components = np.asarray(first.components)
    assert components.shape == (4, 16)
    assert np.abs(components - np.asarray(second.components)).max() > 1e-3
    assert space_record(first)["name"] == "lowrank"
    if recipe == "published":  # whose steps are never taken back
        result = next(iter(ds.drag_many(tiny_generator, requests[:1])))
        moved = np.asarray(result.latents.ws - result.start.ws)
        assert np.abs(moved[:3]).max() > 1e-4
        np.testing.assert_allclose(moved[:3] @ components.T @ components, moved[:3], atol=1e-5)
        assert not moved[3:].any()


def test_a_file_has_the_directions_of_its_images(tiny_generator: Generator, tmp_path: Path) -> None:
    path = str(tmp_path / "directions.npz")
    found = ds.lowrank(tiny_generator, seeds=[0, 1], region=REGION, directions=3)
    found.save(path)
    options = space_of({"recipe": "least-change", "basis": path})
    assert space_name(options) == "lowrank"
    space = make_space(tiny_generator, options)
    assert isinstance(space, ds.RegionSpace)
    measured = space.measured(tiny_generator, ds.Latents(ws=found.ws[1]), None)
    components = np.asarray(measured.components)
    np.testing.assert_allclose(found.directions[1] @ components.T @ components, found.directions[1], atol=1e-4)
    with pytest.raises(ds.DragspaceError, match="none of them is the one that is dragged"):
        space.measured(tiny_generator, ds.Latents(ws=found.ws[1] + 1), None)
    with pytest.raises(ds.DragspaceError, match="leave `space` out"):
        make_space(tiny_generator, space_of({"recipe": "published", "space": "pca", "basis": path}))


def test_what_it_needs_is_said(tiny_generator: Generator) -> None:
    space = make_space(tiny_generator, space_of({"recipe": "published", "space": "lowrank"}))
    ws = ds.seed_latents(tiny_generator, [0], psi=0.7)[0]
    request = EditRequest(latents=ws, space=space, handles_yx=HANDLE, targets_yx=TARGET)
    with pytest.raises(ds.DragspaceError, match="name it by `region` or `segment`"):
        make_edit(tiny_generator, request)
