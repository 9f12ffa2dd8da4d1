"""Our generator against the torch reference with the same weights, and against the published one's golden arrays."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from dragspace_jax.benchmarks.torch_reference.torch_stylegan2 import Generator as TorchGenerator
from dragspace_jax.benchmarks.torch_reference.transfer import our_generator
from dragspace_jax.stylegan2.config import GeneratorConfig, channel_table
from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.layers import Noise
from dragspace_jax.stylegan2.synthesis import SynthesisOutput

from .compare import below, golden_arrays, nhwc, relative_error

TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
BATCH = 2


def small(resolution: int, **settings) -> GeneratorConfig:
    """A tiny network whose channels change from block to block."""
    return GeneratorConfig(
        **{
            "resolution": resolution,
            "channels": channel_table(resolution, 256, 12),
            "z_dim": 16,
            "w_dim": 16,
            "mapping_layers": 2,
            **settings,
        }
    )


CONFIGS = {
    "8-skip": small(8),
    "16-resnet": small(16, architecture="resnet"),
    "16-orig-labels": small(16, architecture="orig", c_dim=3),
    "32-skip-clamp": small(32, conv_clamp=0.8),
    "32-resnet-clamp": small(32, architecture="resnet", conv_clamp=0.8),
    "32-orig-clamp": small(32, architecture="orig", conv_clamp=0.8),
    "32-skip-no-noise": small(32, use_noise=False),
    "64-skip-labels-widths": small(
        64, c_dim=5, z_dim=12, w_dim=20, mapping_layers=3, mapping_features=24, embed_features=8
    ),
    "64-resnet-filter": small(64, architecture="resnet", resample_filter=(1.0, 4.0, 2.0, 0.5)),
    "128-skip-filter": small(128, resample_filter=(1.0, 4.0, 2.0, 0.5), mapping_lr_multiplier=0.1),
    "128-orig": small(128, architecture="orig"),
}


@dataclasses.dataclass(frozen=True)
class Pair:
    """One network on both sides, and what goes in."""

    config: GeneratorConfig
    theirs: TorchGenerator
    ours: Generator
    z: np.ndarray
    c: np.ndarray | None
    ws: np.ndarray


AS_USERS_RUN = ("16-resnet", "16-orig-labels", "32-skip-clamp")
"""Every architecture with all optimisations, as the golden generator; `test_generator_cases` has the others."""


@pytest.fixture(scope="module", params=AS_USERS_RUN, ids=str)
def pair(request) -> Pair:
    return pair_of(CONFIGS[request.param])


def pair_of(config: GeneratorConfig) -> Pair:
    theirs = TorchGenerator(config, seed=1)
    random = np.random.RandomState(2)
    z = random.randn(BATCH, config.z_dim).astype(np.float32)
    c = random.randn(BATCH, config.c_dim).astype(np.float32) if config.c_dim else None
    # A different w for every layer: a layer fed with its neighbour's shows.
    ws = random.randn(BATCH, config.num_ws, config.w_dim).astype(np.float32)
    return Pair(config, theirs, our_generator(config, theirs), z, c, ws)


@functools.partial(jax.jit, static_argnames=("noise",))
def synthesise(generator: Generator, ws: jax.Array, noise: Noise = "const") -> SynthesisOutput:
    return generator.synthesis(ws, noise=noise, features=generator.config.block_resolutions)


@pytest.mark.parametrize(("psi", "cutoff"), [(1.0, None), (0.6, 3), (0.5, None), (0.0, None), (1.4, 1)])
def test_latents(pair: Pair, psi, cutoff):
    labels = (None, None) if pair.c is None else (torch.as_tensor(pair.c), jnp.asarray(pair.c))
    expected = pair.theirs.ws(torch.as_tensor(pair.z), labels[0], psi=psi, cutoff=cutoff)
    actual = pair.ours.mapping(jnp.asarray(pair.z), labels[1], psi=psi, cutoff=cutoff)
    assert relative_error(actual, expected) <= TOLERANCE


def test_synthesis(pair: Pair):
    """Image, every block's features and all styles, from ws with the stored noise."""
    expected = pair.theirs.synthesis(torch.as_tensor(pair.ws))
    actual = synthesise(pair.ours, jnp.asarray(pair.ws))
    assert relative_error(actual.image, nhwc(expected.image)) <= TOLERANCE
    assert actual.features.keys() == expected.features.keys()
    for resolution, value in expected.features.items():
        assert relative_error(actual.features[resolution], nhwc(value)) <= TOLERANCE, f"block {resolution}"
    assert actual.styles.keys() == expected.styles.keys()
    for name, value in expected.styles.items():
        assert relative_error(actual.styles[name], value) <= TOLERANCE, name


def test_rendering_styles_without_noise(pair: Pair):
    expected = pair.theirs.synthesis(torch.as_tensor(pair.ws), noise="none")

    @jax.jit
    def render(generator: Generator, styles: dict[str, jax.Array]):
        return generator.synthesis.render(styles, noise="none").image

    actual = render(pair.ours, {name: jnp.asarray(value.numpy()) for name, value in expected.styles.items()})
    assert relative_error(actual, nhwc(expected.image)) <= TOLERANCE


def test_gradient_of_features(pair: Pair):
    """The gradient a drag follows: of a random projection of a block's features with respect to ws."""
    block = pair.config.resolution // 2
    side, channels = block, pair.config.block_channels(block)
    projection = np.random.RandomState(3).randn(BATCH, side, side, channels).astype(np.float32)

    ws = torch.as_tensor(pair.ws).requires_grad_()
    features = pair.theirs.synthesis(ws).features[block]
    (expected,) = torch.autograd.grad((features.permute(0, 2, 3, 1) * torch.as_tensor(projection)).sum(), ws)

    @jax.jit
    @jax.grad
    def gradient(ws: jax.Array, generator: Generator):
        out = generator.synthesis(ws, noise="const", features=(block,), stop_at=block)
        return jnp.sum(out.features[block] * projection)

    actual = gradient(jnp.asarray(pair.ws), pair.ours)
    assert relative_error(actual, expected) <= GRADIENT_TOLERANCE


@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if config.conv_clamp is not None])
def test_the_clamp_bites(name):
    """Without a limit the clamped cases would be other pictures, in every block and in ToRGB."""
    config = CONFIGS[name]
    assert config.conv_clamp is not None
    ws = torch.randn(BATCH, config.num_ws, config.w_dim, generator=torch.Generator().manual_seed(0))
    free = TorchGenerator(dataclasses.replace(config, conv_clamp=None), seed=1).synthesis(ws)
    clamped = TorchGenerator(config, seed=1).synthesis(ws)
    for resolution, value in clamped.features.items():
        assert relative_error(value, free.features[resolution]) > 0.1
    if config.architecture != "skip":  # there the image is a sum of limited ones
        assert clamped.image.abs().max() == pytest.approx(config.conv_clamp)


def test_random_noise_has_the_published_distribution():
    """Mean and covariance of the channels over many noises: one draw a pixel and image, shared by the channels."""
    config = small(8, channels=(4, 3))
    theirs = TorchGenerator(config, seed=1)
    ws = np.repeat(np.random.RandomState(2).randn(1, config.num_ws, config.w_dim).astype(np.float32), 3000, 0)
    expected = nhwc(theirs.synthesis(torch.as_tensor(ws), noise="random").features[8])
    synthesis = our_generator(config, theirs).synthesis

    @jax.jit
    def features_of(ws: jax.Array, key: jax.Array) -> jax.Array:
        return synthesis(ws, noise="random", key=key, features=(8,), stop_at=8).features[8]

    actual = features_of(jnp.asarray(ws), jax.random.key(4))

    def moments(x):
        flat = np.asarray(x).reshape(len(ws), -1)
        return flat.mean(0), np.cov(flat, rowvar=False)

    for ours, published in zip(moments(actual), moments(expected), strict=True):
        assert relative_error(ours, published) < 0.1


def test_golden():
    golden = golden_arrays("generator_r64")
    config = GeneratorConfig(resolution=64, channels=channel_table(64, 1024, 32), z_dim=32, w_dim=32, mapping_layers=4)
    generator = our_generator(config, below(golden, "param/"))
    z, ws = jnp.asarray(golden["z"]), jnp.asarray(golden["ws"])
    assert relative_error(generator.mapping(z), golden["ws"]) <= TOLERANCE
    assert relative_error(generator.mapping(z, psi=0.6, cutoff=4), golden["ws_trunc"]) <= TOLERANCE
    out = synthesise(generator, ws)
    assert relative_error(out.image, nhwc(golden["img_const"])) <= TOLERANCE
    assert relative_error(synthesise(generator, ws, noise="none").image, nhwc(golden["img_none"])) <= TOLERANCE
    features, styles = below(golden, "feat/"), below(golden, "style/")
    assert {str(r) for r in out.features} == features.keys()
    assert {f"{name}.affine" for name in out.styles} == styles.keys()
    for resolution, value in out.features.items():
        assert relative_error(value, nhwc(features[str(resolution)])) <= TOLERANCE, f"block {resolution}"
    for name, value in out.styles.items():
        assert relative_error(value, styles[f"{name}.affine"]) <= TOLERANCE, name
