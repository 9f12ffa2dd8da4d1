"""While tests run, calls are held to the shapes and types that the signatures state; else the check is not there."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from dragspace_jax.networks.grid import Grid, hat, span
from dragspace_jax.networks.patches import PatchReader
from dragspace_jax.spaces.axes import principal_axes
from dragspace_jax.spaces.wplus import WPlus
from dragspace_jax.stylegan2.layers import demodulation
from dragspace_jax.stylegan2.resample import filter_valid
from dragspace_jax.stylegan2.tile import Tile

CHECKED = ("dragspace_jax.networks", "dragspace_jax.stylegan2", "dragspace_jax.spaces", "dragspace_jax.drag")
TAPS = (0.25, 0.75, 0.75, 0.25)


def zeros(*shape: int, dtype: Any = jnp.float32) -> jax.Array:
    return jnp.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("parameter", "call"),
    [
        ("origins", lambda: span(zeros(2, 2, dtype=jnp.int32), 3)),
        ("distance", lambda: hat(zeros(2, dtype=jnp.int32))),
        ("x", lambda: filter_valid(zeros(5, 5, 2), TAPS)),
        ("style", lambda: demodulation(zeros(3, 4), zeros(1, 2))),  # I = 3 of one, 2 of the other
        ("values", lambda: Tile.whole(zeros(1, 6, 6, 2)).doubled(zeros(1, 6, 6, 2))),  # 8 × 8 is what is left
        ("moving", lambda: WPlus(layers=2).coordinates(zeros(8))),
        ("coordinates", lambda: WPlus(layers=2).residual(zeros(2, 4), zeros(2, 4))),
        ("moments", lambda: principal_axes(np.zeros((3, 4)), 1, mean_square=1.0, exactly=False)),
    ],
)
def test_a_wrong_shape_or_type_is_refused(parameter: str, call: Callable[[], object]) -> None:
    with pytest.raises(TypeCheckError, match=f"typechecking parameter '{parameter}'"):
        call()


def test_a_wrong_result_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="return value"):
        WPlus(layers=2).residual(zeros(1, 4), zeros(8))  # broadcasts to n = 2 layers


@pytest.mark.parametrize("package", CHECKED)
def test_every_annotation_has_a_meaning(package: str) -> None:
    """One that cannot be evaluated would not be checked, without a word."""
    found = importlib.import_module(package)
    seen = 0
    for module in [importlib.import_module(f"{package}.{info.name}") for info in pkgutil.iter_modules(found.__path__)]:
        owners = [module, *(kind for kind in vars(module).values() if inspect.isclass(kind))]
        for value in [value for owner in owners for value in vars(owner).values()]:
            function = inspect.unwrap(getattr(value, "fget", getattr(value, "__func__", value)))
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                seen += any("Array" in str(hint) for hint in get_type_hints(function).values())
    assert seen > 5


def test_calls_are_checked_while_they_are_traced() -> None:
    with pytest.raises(TypeCheckError, match="origins"):
        jax.jit(span, static_argnums=1)(zeros(2, 2, dtype=jnp.int32), 3)
    rows = jax.vmap(lambda origins: span(origins, 3))(zeros(2, 2, dtype=jnp.int32))
    assert rows.shape == (2, 2, 3)  # under vmap the axes are those of one row


def test_a_pytree_may_hold_anything() -> None:
    reader = PatchReader(
        features=zeros(1, 4, 4, 2), origin_yx=None, image=zeros(1, dtype=jnp.int32), grid=Grid.over(8, 4)
    )
    assert jax.tree.map(lambda _: object(), reader).grid == reader.grid
    assert dataclasses.replace(reader, features=None).features is None  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked")
def test_a_test_may_call_as_users_do() -> None:
    assert WPlus(layers=2).coordinates(zeros(8)).shape == (8,)
