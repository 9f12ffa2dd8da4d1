"""Our discriminator against the torch reference with the same weights, and against the published one's logits."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from dragspace_jax.benchmarks.torch_reference.transfer import our_discriminator
from dragspace_jax.stylegan2.config import DiscriminatorConfig, channel_table
from dragspace_jax.stylegan2.discriminator import Discriminator

from .compare import below, golden_arrays, nhwc, relative_error
from .torch_discriminator import Discriminator as TorchDiscriminator

TOLERANCE = 1e-4


def small(resolution: int, **settings) -> DiscriminatorConfig:
    channels = channel_table(resolution, 256, 12)
    return DiscriminatorConfig(**{"resolution": resolution, "channels": channels, "mapping_layers": 2, **settings})


CONFIGS = {
    "8-skip": small(8, architecture="skip"),
    "16-orig-labels": small(16, architecture="orig", c_dim=3),
    "32-resnet-labels-widths": small(32, c_dim=4, cmap_dim=7, mapping_layers=3, mapping_features=10, embed_features=5),
    "32-skip-clamp": small(32, architecture="skip", conv_clamp=0.8),
    "32-resnet-clamp-labels": small(32, conv_clamp=0.8, c_dim=3),
    "32-orig-clamp": small(32, architecture="orig", conv_clamp=0.8),
    "64-resnet-filter": small(64, resample_filter=(1.0, 4.0, 2.0, 0.5), mbstd_num_channels=2),
    "64-skip-filter": small(64, architecture="skip", resample_filter=(1.0, 4.0, 2.0, 0.5), mbstd_num_channels=0),
}


@jax.jit
def judge(discriminator: Discriminator, images: jax.Array, labels: jax.Array | None) -> jax.Array:
    return discriminator(images, labels)


AS_USERS_RUN = ("8-skip", "16-orig-labels", "32-resnet-clamp-labels")
"""Every architecture with all optimisations, as the golden logits; `test_discriminator_cases` has the others."""


def check(config: DiscriminatorConfig) -> None:
    """Eight images: two groups of the minibatch standard deviation; then two, fewer than a group."""
    theirs = TorchDiscriminator(config, seed=1)
    discriminator = our_discriminator(config, theirs)
    random = np.random.RandomState(2)
    images = random.randn(8, config.img_channels, config.resolution, config.resolution).astype(np.float32)
    labels = random.randn(8, config.c_dim).astype(np.float32) if config.c_dim else None
    for size in (8, 2):
        some = None if labels is None else labels[:size]
        expected = theirs(torch.as_tensor(images[:size]), None if some is None else torch.as_tensor(some))
        actual = judge(discriminator, jnp.asarray(nhwc(images[:size])), None if some is None else jnp.asarray(some))
        assert relative_error(actual, expected) <= TOLERANCE


@pytest.mark.parametrize("name", AS_USERS_RUN)
def test_logits(name):
    check(CONFIGS[name])


@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if config.conv_clamp is not None])
def test_the_clamp_bites(name):
    config = CONFIGS[name]
    images = torch.randn(4, 3, config.resolution, config.resolution, generator=torch.Generator().manual_seed(0))
    labels = torch.ones(4, config.c_dim) if config.c_dim else None
    free = TorchDiscriminator(dataclasses.replace(config, conv_clamp=None), seed=1)(images, labels)
    assert relative_error(TorchDiscriminator(config, seed=1)(images, labels), free) > 0.05


def test_golden():
    golden = golden_arrays("generator_r64")
    config = DiscriminatorConfig(resolution=64, channels=channel_table(64, 1024, 32))
    discriminator = our_discriminator(config, below(golden, "dparam/"))
    logits = judge(discriminator, jnp.asarray(nhwc(golden["disc/img"])), None)
    assert relative_error(logits, golden["disc/logits"]) <= TOLERANCE
