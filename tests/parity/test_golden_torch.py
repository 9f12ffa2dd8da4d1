"""The torch reference against golden arrays of the published implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dragspace_jax.benchmarks.torch_reference.torch_drag import Settings, drag
from dragspace_jax.benchmarks.torch_reference.torch_layers import load_published
from dragspace_jax.benchmarks.torch_reference.torch_stylegan2 import Generator
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig, channel_table

from .compare import below, golden_arrays, relative_error
from .torch_discriminator import Discriminator


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return golden_arrays("generator_r64")


@pytest.fixture(scope="module")
def generator(golden) -> Generator:
    config = GeneratorConfig(resolution=64, channels=channel_table(64, 1024, 32), z_dim=32, w_dim=32, mapping_layers=4)
    generator = Generator(config)
    load_published(generator, below(golden, "param/"))
    return generator


def test_mapping(golden, generator):
    z = torch.as_tensor(golden["z"])
    assert relative_error(generator.ws(z), golden["ws"]) < 1e-5
    assert relative_error(generator.ws(z, psi=0.6, cutoff=4), golden["ws_trunc"]) < 1e-5


def test_synthesis(golden, generator):
    ws = torch.as_tensor(golden["ws"])
    out = generator.synthesis(ws)
    assert relative_error(out.image, golden["img_const"]) < 1e-5
    assert relative_error(generator.synthesis(ws, noise="none").image, golden["img_none"]) < 1e-5
    features, styles = below(golden, "feat/"), below(golden, "style/")
    assert {str(r) for r in out.features} == set(features)
    assert {f"{name}.affine" for name in out.styles} == set(styles)
    for resolution, value in out.features.items():
        assert relative_error(value, features[str(resolution)]) < 1e-5, resolution
    for name, value in out.styles.items():
        assert relative_error(value, styles[f"{name}.affine"]) < 1e-5, name


def test_discriminator(golden):
    discriminator = Discriminator(DiscriminatorConfig(resolution=64, channels=channel_table(64, 1024, 32)))
    load_published(discriminator, below(golden, "dparam/"))
    logits = discriminator(torch.as_tensor(golden["disc/img"]))
    assert relative_error(logits, golden["disc/logits"]) < 1e-5


def test_drag():
    golden = golden_arrays("drag_r256_one_point")
    config = GeneratorConfig(
        resolution=256, channels=channel_table(256, 2048, 32), z_dim=32, w_dim=32, mapping_layers=2
    )
    generator = Generator(config)
    load_published(generator, below(golden, "param/"))
    start = generator.synthesis(torch.as_tensor(golden["w0"])).image[0].movedim(0, -1)
    shown = (start * 127.5 + 128).clamp(0, 255).to(torch.uint8).numpy().astype(int)
    assert np.abs(shown - golden["img0"]).max() <= 1
    settings = Settings(learning_rate=float(golden["lr"]))
    trace = drag(generator, golden["w0"][0], golden["points"], golden["targets"], settings=settings)
    np.testing.assert_array_equal(trace.handles_yx, golden["traj"])
    np.testing.assert_array_equal(trace.stopped, golden["stopped"])
    assert np.abs(trace.latents - golden["w_after"]).max() < 1e-4
    image = generator.synthesis(torch.as_tensor(trace.latents[-1:])).image
    assert relative_error(image, golden["final_image"]) < 1e-3
