"""While tests run, calls are held to the shapes and types that the signatures state; else the check is not there."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from dragspace_jax.networks.grid import Grid, hat, span
from dragspace_jax.networks.patches import PatchReader


def test_networks_refuse_a_wrong_shape_and_type():
    with pytest.raises(TypeCheckError, match="origins"):
        span(jnp.zeros((2, 2), jnp.int32), 3)
    with pytest.raises(TypeCheckError, match="distance"):
        hat(jnp.zeros(2, jnp.int32))
    assert span(jnp.zeros(2, jnp.int32), 3).shape == (2, 3)


def test_calls_are_checked_while_they_are_traced():
    with pytest.raises(TypeCheckError, match="origins"):
        jax.jit(span, static_argnums=1)(jnp.zeros((2, 2), jnp.int32), 3)
    rows = jax.vmap(lambda origins: span(origins, 3))(jnp.zeros((2, 2), jnp.int32))
    assert rows.shape == (2, 2, 3)  # under vmap the axes are those of one row


def test_a_pytree_may_hold_anything():
    reader = PatchReader(
        features=jnp.zeros((1, 4, 4, 2)), origin_yx=None, image=jnp.zeros(1, jnp.int32), grid=Grid.over(8, 4)
    )
    assert jax.tree.map(lambda _: object(), reader).grid == reader.grid
    assert dataclasses.replace(reader, features=None).features is None  # type: ignore[arg-type]
