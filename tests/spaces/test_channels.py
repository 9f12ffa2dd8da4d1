"""Chosen style channels as a space: round trips, and a drag that moves nothing else."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dragspace_jax as ds
from dragspace_jax.analysis.styles import ChannelError, channel_space, style_statistics
from dragspace_jax.drag.recipes import complete_settings
from dragspace_jax.spaces import SpaceError
from dragspace_jax.spaces.channels import Channels
from dragspace_jax.stylegan2 import Latents
from dragspace_jax.stylegan2.generator import Generator

CHOSEN = [("b8.conv1", 3), (2, 1), (3, 0), ("b16.conv0", 2)]


@pytest.fixture(scope="module")
def space(tiny_generator: Generator) -> Channels:
    return channel_space(tiny_generator, CHOSEN, statistics=style_statistics(tiny_generator, samples=2000))


def test_what_was_encoded_is_decoded(tiny_generator: Generator, space: Channels) -> None:
    ws = jnp.asarray(ds.seed_latents(tiny_generator, [1], psi=1.0)[0])
    offset = jnp.asarray(np.random.RandomState(0).standard_normal(16), jnp.float32)
    latents = Latents(ws=ws, offsets={"b8.conv1": offset, "b4.conv1": offset})
    network = tiny_generator.prepare(
        block=16, reach=4, handles=1, windows=True, noise="const", dtype="float32", platform="cpu"
    )
    coordinates, base = space.encode(network, latents)
    assert coordinates.shape == (space.size,) == (4,)
    decoded = space.decode(coordinates, base)
    np.testing.assert_array_equal(decoded.ws, ws)
    np.testing.assert_allclose(decoded.offsets["b8.conv1"], offset, rtol=1e-7)
    np.testing.assert_array_equal(decoded.offsets["b4.conv1"], offset)
    moved = coordinates + 1.0
    short = space.styles(network, moved, base)
    long = network.styles(jax.tree.map(lambda leaf: leaf[None], space.decode(moved, base)))
    for name, style in long.items():
        np.testing.assert_allclose(short[name], style, atol=1e-5)


@pytest.mark.parametrize("recipe", ["published", "least-change"])
def test_a_drag_moves_the_channels_alone(tiny_generator: Generator, space: Channels, recipe: str) -> None:
    ws = ds.seed_latents(tiny_generator, [1], psi=1.0)[0]
    settings = dataclasses.replace(complete_settings(recipe, 32), steps=3, learning_rate=0.5)
    result = ds.drag_one(tiny_generator, ws, [[10, 10]], [[20, 20]], space=space, settings=settings)
    np.testing.assert_array_equal(result.latents.ws, ws)
    chosen = {name: np.asarray(index).tolist() for name, index in space.index.items()}
    assert {name: np.flatnonzero(each).tolist() for name, each in result.latents.offsets.items()} == {
        name: sorted(index) for name, index in chosen.items()
    }


def test_channels_that_make_no_space(tiny_generator: Generator, space: Channels) -> None:
    with pytest.raises(ChannelError, match="there twice"):
        channel_space(
            tiny_generator, [(6, 1), ("b16.conv1", 1)], statistics=style_statistics(tiny_generator, samples=2000)
        )
    with pytest.raises(SpaceError, match="another model's"):
        dataclasses.replace(space, model="0" * 16).check(tiny_generator)
    with pytest.raises(SpaceError, match="it has 0 to"):
        dataclasses.replace(space, index={**space.index, "b16.conv0": jnp.asarray([99])}).check(tiny_generator)
