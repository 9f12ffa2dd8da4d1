"""Arrays of one call that disagree about lanes, handles, maps or types are refused while tests run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from dragspace_jax.drag import DragSettings
from dragspace_jax.drag.directions import Adam, stretch
from dragspace_jax.drag.masking import mask_loss
from dragspace_jax.drag.motion import distances
from dragspace_jax.drag.state import choose_rows, per_lane
from dragspace_jax.networks import Grid

from .points import lanes_of


def masked(now: tuple[int, ...], start: tuple[int, ...], mask: tuple[int, ...]) -> jax.Array:
    return mask_loss(jnp.zeros(now), jnp.zeros(start), jnp.zeros(mask), grid=Grid.over(8, 4))


def begun(coordinates: tuple[int, ...]) -> Any:
    """Adam's moments for three lanes."""
    return Adam().init(lanes_of(DragSettings(), jnp.zeros((3, 2))), jnp.zeros(coordinates))


@pytest.mark.parametrize(
    "call",
    [
        lambda: distances(jnp.zeros((3, 2)), jnp.zeros((1, 2))),
        lambda: distances(jnp.zeros((3, 2), jnp.bfloat16), jnp.zeros((3, 2), jnp.bfloat16)),
        lambda: stretch(jnp.zeros(3), jnp.zeros(1)),
        lambda: per_lane(jnp.zeros(3), jnp.zeros(2, jnp.int32), 3),
        lambda: choose_rows(jnp.ones(3), jnp.ones(3, bool), jnp.zeros(3), jnp.zeros(3)),
        lambda: masked((4, 4, 2), (2, 2, 2), (8, 8)),
        lambda: masked((4, 4, 2), (4, 4, 2), (1, 8, 8)),
        lambda: begun((2, 2)),
    ],
)
def test_what_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeCheckError):
        call()


def test_what_agrees_is_not() -> None:
    assert masked((4, 4, 2), (4, 4, 2), (8, 8)).shape == ()
    assert {leaf.shape for leaf in jax.tree.leaves(begun((3, 2)))} == {(3,), (3, 2)}
