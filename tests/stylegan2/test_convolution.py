"""Convolutions: one result by either way, and the way that the platform of the compiled program wants."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dragspace_jax.networks.convolution import convolve_valid, platform_of
from dragspace_jax.stylegan2 import Discriminator, DiscriminatorConfig, Generator
from dragspace_jax.stylegan2.convolution import Kernel, transposed_convolution
from dragspace_jax.stylegan2.windows import WindowPlan

PLATFORMS = ("cpu", "tpu", "cuda")


def lowered(f: Callable[..., Any], *arguments: Any, platform: str) -> str:
    """The program of this machine's trace for another platform, without branches that it does not take."""
    exported = jax.export.export(jax.jit(f), platforms=(platform,))(*arguments)
    return exported.mlir_module()


def convolutions(f: Callable[..., Any], *arguments: Any, platform: str) -> int:
    return lowered(f, *arguments, platform=platform).count("stablehlo.convolution")


@pytest.fixture(scope="module")
def values() -> tuple[jax.Array, jax.Array]:
    """x [2, 6, 6, 3] and a weight [3, 3, 3, 4]."""
    random = np.random.RandomState(0)
    return jnp.asarray(random.randn(2, 6, 6, 3), jnp.float32), jnp.asarray(random.randn(3, 3, 3, 4), jnp.float32)


def test_both_ways_give_one_result(values: tuple[jax.Array, jax.Array]) -> None:
    with jax.default_matmul_precision("highest"):
        patches, by_xla, chosen = (convolve_valid(*values, platform=p) for p in ("cpu", "tpu", None))
    np.testing.assert_allclose(patches, by_xla, atol=1e-5)
    np.testing.assert_array_equal(chosen, patches)
    assert convolve_valid(*values, stride=2).shape == (2, 2, 2, 4)


def test_gradients_are_the_same_either_way(values: tuple[jax.Array, jax.Array]) -> None:
    def loss(x: jax.Array, weight: jax.Array, platform: str | None) -> jax.Array:
        return jnp.sum(jnp.square(convolve_valid(x, weight, platform=platform)))

    with jax.default_matmul_precision("highest"):
        gradients = [jax.grad(loss, (0, 1))(*values, platform) for platform in ("cpu", "tpu", None)]
    for other in gradients[1:]:
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-4), other, gradients[0])


def test_a_transposed_one_is_the_same_either_way(values: tuple[jax.Array, jax.Array]) -> None:
    x, weight = values

    def squares(x: jax.Array, platform: str | None) -> tuple[jax.Array, jax.Array]:
        y = transposed_convolution(x, Kernel.of(weight, transposed=True, platform=platform))
        return jnp.sum(jnp.square(y)), y

    with jax.default_matmul_precision("highest"):
        found = [jax.value_and_grad(squares, has_aux=True)(x, platform) for platform in ("cpu", "tpu", None)]
    for (_, result), gradient in found[1:]:
        np.testing.assert_allclose(result, found[0][0][1], atol=1e-5)
        np.testing.assert_allclose(gradient, found[0][1], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_plain_convolution_is_lowered_for_its_platform(values: tuple[jax.Array, jax.Array], platform: str) -> None:
    program = lowered(convolve_valid, *values, platform=platform)
    assert ("stablehlo.convolution" in program) == (platform != "cpu")
    assert ("stablehlo.dot_general" in program) == (platform == "cpu")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_kernel_names_the_platform(values: tuple[jax.Array, jax.Array], platform: str) -> None:
    """Whatever it is then lowered for: the platform is part of what is traced."""
    x, weight = values
    kernel = Kernel.of(weight, transposed=True, platform=platform)
    for target in ("cpu", platform):
        assert convolutions(transposed_convolution, x, kernel, platform=target) == (0 if platform == "cpu" else 1)


def test_large_maps_are_left_to_xla(values: tuple[jax.Array, jax.Array]) -> None:
    x = jax.ShapeDtypeStruct((1, 1024, 1024, 3), jnp.float32)
    assert convolutions(convolve_valid, x, values[1], platform="cpu") == 1


def test_features_in_windows(tiny_generator: Generator) -> None:
    synthesis = tiny_generator.synthesis
    styles = synthesis.styles(jnp.zeros((1, 8, 16)), synthesis.names_up_to(16))

    def features(styles: dict[str, jax.Array], kernels: dict[str, Kernel]) -> jax.Array:
        whole, nowhere = WindowPlan(top=16, blocks=()), jnp.zeros((1, 2), jnp.int32)
        return synthesis.windows(styles, whole, nowhere, nowhere[:, 0], kernels=kernels)[0].values

    # b4.conv1, and of b8 and b16 conv0 and conv1
    for platform, count in (("cpu", 0), ("tpu", 5)):
        kernels = synthesis.kernels(16, jnp.float32, platform)
        assert {kernel.platform for kernel in kernels.values()} == {platform}
        assert convolutions(features, styles, kernels, platform=platform) == count
        traced = jax.jit(lambda synthesis, styles: features(styles, synthesis.kernels(16, jnp.float32)))
        assert convolutions(traced, synthesis, styles, platform=platform) == count


def test_the_platform_is_where_the_weights_lie(tiny_generator: Generator) -> None:
    assert {kernel.platform for kernel in tiny_generator.synthesis.kernels(8, jnp.float32).values()} == {"cpu"}
    assert platform_of(jnp.zeros(3)) == "cpu"
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    assert platform_of([jax.ShapeDtypeStruct((3,), jnp.float32, sharding=sharding), 1.0]) == "cpu"
    assert platform_of([]) is None
    seen = []
    jax.eval_shape(lambda x: seen.append(platform_of(x)), jnp.zeros(3))
    assert seen == [None]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_networks_are_lowered_for_their_platform(tiny_generator: Generator, platform: str) -> None:
    """Synthesis without kernels made ready (ToRGB too), and a discriminator (its skips, and its strided layers)."""
    ws = jax.ShapeDtypeStruct((1, 8, 16), jnp.float32)
    count = convolutions(lambda ws: tiny_generator.synthesis(ws).image, ws, platform=platform)
    assert count == (0 if platform == "cpu" else 4 + 3 + 4)  # conv1, conv0, ToRGB
    config = DiscriminatorConfig(resolution=8, channels=(4, 4))
    discriminator = Discriminator(config, rngs=nnx.Rngs(0))
    images = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    count = convolutions(discriminator, images, platform=platform)
    assert count == (1 if platform == "cpu" else 5)  # the one with a stride, or all: fromrgb, conv0, conv1, skip, conv
