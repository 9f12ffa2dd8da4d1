"""Gram matrices against Jacobians written out, by columns and by rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.analysis import jacobian
from dragspace_jax.analysis.jacobian import JacobianError, Passes, mean_gram, plan_passes


def image(of: jax.Array, coordinates: jax.Array, latents: jax.Array) -> jax.Array:
    """[2, 3, 2] of coordinates [K]: sines of a linear map of both."""
    mixed = jnp.einsum("hwck,k->hwc", of, coordinates + latents, precision=jax.lax.Precision.HIGHEST)
    return jnp.sin(mixed)


@pytest.mark.parametrize("channels", ["each", "mean"])
@pytest.mark.parametrize("width", [5, 40])  # 12 numbers in the image, 6 of the mean: by columns, and by rows
def test_it_is_the_mean_of_weighted_products(width: int, channels: str) -> None:
    random = np.random.RandomState(0)
    of = jnp.asarray(random.randn(2, 3, 2, width), jnp.float32)
    points = [(random.randn(width).astype(np.float32), random.randn(width).astype(np.float32)) for _ in range(3)]
    weights = random.rand(4, 2, 3).astype(np.float32)
    told: list[int] = []
    found = mean_gram(image, of, points, weights, channels=channels, on_progress=told.append)  # type: ignore[arg-type]

    expected = np.zeros((4, width, width))
    for at, latents in points:
        j = np.asarray(jax.jacfwd(lambda c, latents=latents: image(of, c, jnp.asarray(latents)))(jnp.asarray(at)))
        j = j.mean(2, keepdims=True) if channels == "mean" else j
        expected += np.einsum("ghw,hwck,hwcl->gkl", weights, j, j) / (3 * j[..., 0].size)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert told == [1, 1, 1]


def test_no_points_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        mean_gram(image, jnp.zeros((2, 3, 2, 1)), [], np.zeros((1, 2, 3), np.float32))


def test_a_large_image_is_done_in_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.RandomState(1)
    of = jnp.asarray(random.randn(5, 3, 2, 4), jnp.float32)
    point, weights = (np.zeros(4, np.float32), np.zeros(4, np.float32)), random.rand(2, 5, 3).astype(np.float32)
    whole = mean_gram(image, of, [point], weights)
    monkeypatch.setattr(jacobian, "_HELD", 50)  # of 120 numbers, so that three panels have two rows each
    jax.clear_caches()
    np.testing.assert_allclose(mean_gram(image, of, [point], weights), whole, atol=1e-6)
    assert plan_passes(4, 30, rows=5) == Passes(direction="forward", count=12, together=16, panels=3)
    jax.clear_caches()


def test_the_fewer_passes_are_taken() -> None:
    assert plan_passes(512, 256 * 256, rows=256, activation=128 * 256**2) == Passes(
        direction="forward", count=512, together=4, panels=1
    )
    assert plan_passes(512, 24).direction == "reverse"
    assert plan_passes(512, 3 * 1024**2, rows=1024).panels == 24


def test_what_is_not_finite_is_an_error() -> None:
    point = np.zeros(5, np.float32), np.zeros(5, np.float32)
    with pytest.raises(JacobianError, match="not finite"):
        mean_gram(image, jnp.full((2, 3, 2, 5), jnp.nan), [point], np.ones((1, 2, 3), np.float32))
