"""Our BigGAN-deep against the public package's with the same random weights, by way of its folder format."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from dragspace_jax.biggan import BigGAN
from dragspace_jax.biggan.latents import statistics_of
from dragspace_jax.biggan.network import styles_of
from dragspace_jax.checkpoint import load_model
from dragspace_jax.convert import convert
from tests.parity.compare import nhwc, relative_error

from .published import PUBLISHED, random_model, settings, write_folder

TOLERANCE = 1e-4
STEPS = [number / 50 for number in range(1, 51)]
BETWEEN = [0.001, 0.0123, 0.29, 0.3333, 0.57, 0.58, 0.7071, 0.9, 0.999]
"""Among them 0.29, 0.57 and 0.58, which lie beside their set in float64."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """One network on both sides, and what goes in."""

    theirs: Any
    ours: BigGAN
    z: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="module", params=PUBLISHED, ids=str)
def pair(request, tmp_path_factory) -> Pair:
    stated = settings(request.param)
    theirs = random_model(stated)
    folder = tmp_path_factory.mktemp("biggan")
    convert(write_folder(folder / "published", theirs), folder / "model")
    ours = load_model(folder / "model")
    assert isinstance(ours, BigGAN)
    random = np.random.RandomState(1)
    z = random.randn(2, stated["z_dim"]).astype(np.float32)
    labels = np.eye(stated["num_classes"], dtype=np.float32)[[3, 1]]
    labels[1] = random.rand(stated["num_classes"])  # classes may be mixed
    return Pair(theirs, ours, z, labels)


@jax.jit
def ours_at(model: BigGAN, z: jax.Array, labels: jax.Array, statistics: jax.Array, projection: jax.Array) -> Any:
    """Image, all features, and the gradient by z of a projection of the last features but one."""
    config = model.config

    def projected(z: jax.Array) -> tuple[jax.Array, Any]:
        latents = dataclasses.replace(model.latents(z, labels, truncation=1.0), statistics=statistics)
        styles = styles_of(latents)
        maps = model.generator.maps(styles["condition"], styles["statistics"], config.block_resolutions)
        image = model.generator.coloured(maps[config.resolution], styles["statistics"])
        return jnp.sum(maps[config.resolution // 2] * projection), (image, maps)

    return jax.grad(projected, has_aux=True)(z)


def theirs_at(pair: Pair, truncation: float, projection: np.ndarray) -> Any:
    kept: dict[int, torch.Tensor] = {}
    hooks = [layer.register_forward_hook(lambda *about: kept.update({about[2].shape[2]: about[2]}))
             for layer in pair.theirs.generator.layers]  # fmt: skip
    z = torch.as_tensor(pair.z).requires_grad_()
    image = pair.theirs(z, torch.as_tensor(pair.labels), truncation)
    for hook in hooks:
        hook.remove()
    half = kept[pair.ours.config.resolution // 2].permute(0, 2, 3, 1)
    (slope,) = torch.autograd.grad((half * torch.as_tensor(projection)).sum(), z)
    return slope, (image.detach(), {side: value.detach() for side, value in kept.items()})


def test_images_features_gradients(pair: Pair):
    config = pair.ours.config
    half = config.resolution // 2
    projection = np.random.RandomState(2).randn(2, half, half, config.block_channels(half)).astype(np.float32)
    errors = list[float]()
    for truncation in (0.4, 0.57, 1.0):
        slope, (image, maps) = theirs_at(pair, truncation, projection)
        statistics = np.tile(statistics_of(truncation, config.n_stats), (2, 1))
        found, (drawn, features) = ours_at(pair.ours, pair.z, pair.labels, statistics, projection)
        assert 0.1 < np.std(image.numpy()) < 0.8
        assert relative_error(drawn, nhwc(image)) <= TOLERANCE
        assert set(maps) == set(config.block_resolutions)
        for side, value in maps.items():
            assert relative_error(features[side], nhwc(value)) <= TOLERANCE, side
        errors += [relative_error(*rows) for rows in zip(found, slope, strict=True)]
    # Where a ReLU's input is nought but for rounding, its unit may be on at one side alone: in one image at most.
    assert sorted(errors)[-2] <= TOLERANCE, errors
    assert max(errors) <= 1e-2, errors


def test_all_truncations(pair: Pair):
    """The statistics of every norm at every truncation; the images at those say that they go where they belong."""
    theirs = pair.theirs.generator.bn
    ones = torch.ones(1, theirs.num_features, 2, 2)
    norm = pair.ours.generator.bn
    for truncation in [*STEPS, *BETWEEN]:
        with torch.no_grad():
            expected = nhwc(theirs(ones, truncation))
        statistics = jnp.asarray(statistics_of(truncation, 51))[None]
        assert relative_error(norm(jnp.asarray(nhwc(ones)), statistics), expected) <= TOLERANCE, truncation
