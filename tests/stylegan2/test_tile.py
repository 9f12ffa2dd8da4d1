"""Windows give the numbers of the whole map, inside, at every border and corner, up-sampling or not."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.resample import filter_valid, filter_window, normalised_taps
from dragspace_jax.stylegan2.tile import Tile

GRID, SIZE = 16, 8
ORIGINS = [(4, 4), (-3, 5), (5, -3), (-2, -2), (11, 4), (4, 12), (10, 10), (-2, 11)]


def whole_and_windows(generator: Generator, layer_name: str) -> tuple[Tile, Tile, np.ndarray]:
    """A layer's output of a whole 16 px map, and of windows of it, one an origin."""
    layer = getattr(generator.synthesis.block(GRID if layer_name == "conv1" else 2 * GRID), layer_name)
    x = jax.random.normal(jax.random.key(0), (1, GRID, GRID, layer.weight.shape[2]))
    style = 1.0 + 0.3 * jax.random.normal(jax.random.key(1), (1, x.shape[3]))
    origins = np.array(ORIGINS, np.int32)

    def both(x: jax.Array, style: jax.Array) -> tuple[Tile, Tile]:
        whole = Tile.whole(x)
        windows = whole.window(jnp.asarray(origins), SIZE)
        return layer(whole, style, noise="const", key=None), layer(windows, style, noise="const", key=None)

    with jax.default_matmul_precision("highest"):
        return *jax.jit(both)(x, style), origins


@pytest.mark.parametrize("layer_name", ["conv0", "conv1"])
def test_window_equals_whole_map(tiny_generator: Generator, layer_name: str) -> None:
    whole, windows, _ = whole_and_windows(tiny_generator, layer_name)
    assert windows.origin_yx is not None
    full, cut = np.asarray(whole.values[0]), np.asarray(windows.values)
    compared = 0
    for origin, values in zip(np.asarray(windows.origin_yx), cut, strict=True):
        for row in range(values.shape[0]):
            for column in range(values.shape[1]):
                y, x = origin[0] + row, origin[1] + column
                if 0 <= y < whole.grid and 0 <= x < whole.grid:
                    np.testing.assert_allclose(values[row, column], full[y, x], atol=1e-5 * np.abs(full).max())
                    compared += 1
    assert compared > 100


def test_geometry_of_layers(tiny_generator: Generator) -> None:
    _, kept, origins = whole_and_windows(tiny_generator, "conv1")
    assert kept.grid == GRID
    assert kept.values.shape[1] == SIZE - 2
    np.testing.assert_array_equal(np.asarray(kept.origin_yx), origins + 1)
    _, doubled, origins = whole_and_windows(tiny_generator, "conv0")
    assert doubled.grid == 2 * GRID
    assert doubled.values.shape[1] == 2 * (SIZE - 2)
    np.testing.assert_array_equal(np.asarray(doubled.origin_yx), 2 * (origins + 1))


def test_cuts_by_products_are_the_same_cuts() -> None:
    whole = Tile.whole(jax.random.normal(jax.random.key(4), (3, GRID, GRID, 2)))
    origins, image = jnp.asarray(ORIGINS, jnp.int32), jnp.asarray([0, 1, 2, 0, 2, 2, 1, 0], jnp.int32)
    for which, tile in ((image, whole), (None, whole), (None, Tile.whole(whole.values[:1]))):
        cut, product = (tile.window(origins, SIZE, which, by_products=by_products) for by_products in (False, True))
        np.testing.assert_allclose(product.values, cut.values, atol=1e-6)


def test_a_filter_at_an_offset_is_a_cut_of_the_filter() -> None:
    x = jax.random.normal(jax.random.key(5), (4, 9, 9, 2))
    offset_yx = jnp.asarray([(0, 0), (0, 1), (1, 0), (1, 1)], jnp.int32)
    taps = normalised_taps([1, 2, 4, 3], 2.0)

    def cut(x: jax.Array) -> jax.Array:
        filtered = Tile(values=filter_valid(x, taps), origin_yx=jnp.zeros((4, 2), jnp.int32), grid=32)
        return filtered.window(offset_yx, 5).values

    def at_once(x: jax.Array) -> jax.Array:
        return filter_window(filter_window(x, 1, offset_yx[:, 0], taps, 5), 2, offset_yx[:, 1], taps, 5)

    (expected, pull), (found, pull_found) = jax.vjp(cut, x), jax.vjp(at_once, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    slope = jax.random.normal(jax.random.key(6), found.shape)
    np.testing.assert_allclose(pull_found(slope)[0], pull(slope)[0], atol=1e-5)


def test_whole_map_keeps_its_place() -> None:
    tile = Tile.whole(jnp.ones((1, 4, 4, 2)))
    padded = tile.for_stencil()
    assert padded.values.shape == (1, 6, 6, 2)
    assert float(padded.values[0, 0].sum()) == 0.0
    assert padded.doubled(jnp.ones((1, 8, 8, 2))).grid == 8


def test_random_noise_needs_a_key(tiny_generator: Generator) -> None:
    ws = jnp.zeros((1, tiny_generator.config.num_ws, tiny_generator.config.w_dim))
    with pytest.raises(ValueError, match="key"):
        tiny_generator.synthesis(ws, noise="random")


def test_stopping_below_the_top(tiny_generator: Generator) -> None:
    ws = jax.random.normal(jax.random.key(2), (2, tiny_generator.config.num_ws, tiny_generator.config.w_dim))
    everything = jax.jit(partial(tiny_generator.synthesis, features=(8, 16, 32)))(ws)
    below = jax.jit(partial(tiny_generator.synthesis, features=(8, 16), stop_at=16))(ws)
    assert below.image is None
    assert not [name for name in below.styles if name.startswith("b32") or name.endswith("torgb")]
    for resolution in (8, 16):
        np.testing.assert_allclose(below.features[resolution], everything.features[resolution], atol=1e-5)
    again = jax.jit(tiny_generator.synthesis.render)(everything.styles)
    assert again.image is not None
    assert everything.image is not None
    np.testing.assert_allclose(again.image, everything.image, atol=1e-5)
    with pytest.raises(ValueError, match="no block at 64"):
        tiny_generator.synthesis(ws, features=(64,))
    with pytest.raises(ValueError, match="no block at 32"):
        tiny_generator.synthesis(ws, features=(32,), stop_at=16)


def test_bfloat16_is_near_float32(tiny_generator: Generator) -> None:
    ws = jax.random.normal(jax.random.key(3), (1, tiny_generator.config.num_ws, tiny_generator.config.w_dim))
    full, half = (
        jax.jit(partial(tiny_generator.synthesis, dtype=dtype))(ws).image for dtype in (jnp.float32, jnp.bfloat16)
    )
    assert full is not None
    assert half is not None
    assert half.dtype == jnp.float32
    assert float(jnp.abs(full - half).max()) < 0.1 * float(jnp.abs(full).max())
