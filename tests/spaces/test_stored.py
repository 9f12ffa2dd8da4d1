"""Spaces as files: what was saved comes back, and no file is trusted."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.building import build_generator
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.spaces import PCA, Displacement, LayerSpace, SpaceError, W, WPlus, fit_pca, load_space, save_space
from dragspace_jax.stylegan2.generator import Generator

MOVED = Displacement(components=jnp.eye(8).reshape(8, 2, 4)[:3], variance=jnp.ones(3), scale=jnp.ones(3), layers=2)


@pytest.mark.parametrize("space", [WPlus(layers=3), W(layers=2), MOVED], ids=lambda space: space.name)
def test_every_space_comes_back(tmp_path: Path, space: LayerSpace) -> None:
    save_space(space, tmp_path / "space.npz")
    again = load_space(tmp_path / "space.npz")
    assert isinstance(again, LayerSpace)
    assert type(again) is type(space)
    assert again.layers == space.layers
    assert again.dim(4) == space.dim(4)


def test_a_basis_belongs_to_its_model(tiny_generator: Generator) -> None:
    values = parameters(tiny_generator)
    values["mapping.w_avg"] = values["mapping.w_avg"] + 1.0
    basis = fit_pca(tiny_generator, samples=100)
    basis.check(tiny_generator)
    with pytest.raises(SpaceError, match="fitted on another model"):
        basis.check(build_generator(tiny_generator.config, values))


def test_a_pca_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "foreign.npz"
    np.savez(path, mean=np.zeros(4), components=np.eye(4)[:2], variance=np.array([2.0, 1.0]))
    basis = load_space(path)
    assert isinstance(basis, PCA)
    np.testing.assert_array_equal(basis.scale, 1.0)
    assert basis.model == ""


GOOD = {"mean": np.zeros(4), "components": np.eye(4)[:3], "variance": np.ones(3)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"components": np.zeros((3, 7))}, "do not fit each other"),
        ({"components": np.ones((3, 4))}, "not orthonormal"),
        ({"variance": np.ones(2)}, "do not fit each other"),
        ({"variance": None}, "`variance` is missing"),
        ({"mean": np.full(4, np.nan)}, "not finite"),
        ({"scale": np.array([1.0, 0.0, 1.0])}, "`scale` must be positive"),
        ({"kind": np.asarray("sefa")}, "its kind is 'sefa'"),
        ({"layers": np.asarray(2.5)}, "`layers` must be one value of type int"),
        ({"mean": np.array([object()] * 4)}, "cannot be read"),
        ({"variance": np.array([1.0, 2.0, 1.0])}, "`variance` must fall"),
        ({"variance": np.array([1.0, 0.5, -0.5])}, "`variance` must fall"),
        ({"variance": np.array([1e30, 1.0, 1.0])}, "too large"),
    ],
)
def test_no_file_is_trusted(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "basis.npz"
    np.savez(path, **{name: value for name, value in {**GOOD, **change}.items() if value is not None})
    with pytest.raises(SpaceError, match=message):
        load_space(path)


def test_what_is_no_npz(tmp_path: Path) -> None:
    save_space(MOVED, tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    for content in (b"PK nothing", b"", whole[: len(whole) // 2]):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(SpaceError, match="cannot be read"):
            load_space(tmp_path / "broken.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(SpaceError, match="one array"):
        load_space(tmp_path / "one.npy")
    with pytest.raises(SpaceError, match="does not exist"):
        load_space(tmp_path / "none.npz")
