"""The patch reader against a plain bilinear resize of the whole map."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.networks import Grid, PatchReader

SIDE = 32


def resized(features: jax.Array) -> np.ndarray:
    return np.asarray(jax.image.resize(features, (SIDE, SIDE, features.shape[2]), "linear", antialias=False))


@pytest.mark.parametrize("grid", [4, 8, 16, 20, 32])
@pytest.mark.parametrize("size", [1, 7, 13])
def test_patch_equals_the_resized_map(grid: int, size: int) -> None:
    features = jax.random.normal(jax.random.key(grid), (grid, grid, 3))
    where = jnp.zeros(7, jnp.int32)
    reader = PatchReader(features=features[None], origin_yx=None, image=where, grid=Grid.over(SIDE, grid))
    padded = np.pad(resized(features), ((SIDE, SIDE), (SIDE, SIDE), (0, 0)))
    origins = np.array([(0, 0), (-5, 9), (9, -5), (SIDE - 4, 3), (3, SIDE - 4), (SIDE - 1, SIDE - 1), (-20, -20)])
    patches = np.asarray(reader.patches(jnp.asarray(origins, jnp.int32), size))
    for (y, x), patch in zip(origins + SIDE, patches, strict=True):
        np.testing.assert_allclose(patch, padded[y : y + size, x : x + size], atol=1e-5)
