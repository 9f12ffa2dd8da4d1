"""One network written in three formats: the converted generators make the torch reference's images."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from dragspace_jax.benchmarks.torch_reference.torch_stylegan2 import Generator
from dragspace_jax.checkpoint import load, load_discriminator
from dragspace_jax.convert import convert
from dragspace_jax.convert.names import discriminator_shapes, generator_shapes
from dragspace_jax.stylegan2.discriminator import Discriminator as OurDiscriminator
from dragspace_jax.stylegan2.generator import Generator as OurGenerator
from tests.parity.torch_discriminator import Discriminator

from . import write_nvlabs, write_rosinality, write_tensorflow
from .networks import small_discriminator, small_generator

CONFIGS = {
    "skip": small_generator(),
    "resnet": small_generator(architecture="resnet"),
    "labels": small_generator(c_dim=4, embed_features=5),
    "filter": small_generator(resample_filter=(1.0, 1.61803, 1.61803, 1.0)),
}


@jax.jit
def outputs(
    generator: OurGenerator, z: jax.Array, label: jax.Array | None
) -> tuple[jax.Array, jax.Array | None, dict[int, jax.Array]]:
    """Latents, image and features of all blocks."""
    ws = generator.mapping(z, label, psi=0.6)
    made = generator.synthesis(ws, features=generator.config.block_resolutions)
    return ws, made.image, made.features


@jax.jit
def logits(discriminator: OurDiscriminator, images: jax.Array, label: jax.Array) -> jax.Array:
    return discriminator(images, label)


def arrays_of(network: torch.nn.Module, names) -> dict[str, np.ndarray]:
    values = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return {name: values[name].detach().numpy() for name in names}


def close(ours: np.ndarray, theirs: torch.Tensor) -> None:
    expected = theirs.numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in CONFIGS for kind in ("nvlabs", "tensorflow")] + [("skip", "rosinality")],
)
def test_images_and_features(tmp_path, name, kind):
    config = CONFIGS[name]
    reference = Generator(config, seed=3)
    arrays = arrays_of(reference, generator_shapes(config))
    if kind == "nvlabs":
        source = write_nvlabs.write(tmp_path / "s.pkl", {"G_ema": write_nvlabs.build(config, arrays)})
    elif kind == "tensorflow":
        network = write_tensorflow.generator(config, arrays)
        source = write_tensorflow.write(tmp_path / "s.pkl", (network, network, network))
    else:
        content = write_rosinality.content(config, arrays, kind="converted")
        source = write_rosinality.write(tmp_path / "s.pt", content)
    convert(source, tmp_path / "model")

    z = np.random.RandomState(0).randn(2, config.z_dim).astype(np.float32)
    label = np.eye(config.c_dim, dtype=np.float32)[[1, 3]] if config.c_dim else None
    with torch.no_grad():
        ws = reference.ws(torch.from_numpy(z), None if label is None else torch.from_numpy(label), psi=0.6)
        expected = reference.synthesis(ws)
    generator = load(tmp_path / "model")
    with jax.default_matmul_precision("highest"):
        found_ws, image, found = outputs(generator, jnp.asarray(z), None if label is None else jnp.asarray(label))
    assert image is not None
    close(np.asarray(found_ws), ws)
    close(np.asarray(image).transpose(0, 3, 1, 2), expected.image)
    for resolution, features in expected.features.items():
        close(np.asarray(found[resolution]).transpose(0, 3, 1, 2), features)


@pytest.mark.parametrize("kind", ["nvlabs", "tensorflow"])
@pytest.mark.parametrize(
    ("architecture", "taps"), [("resnet", (1.0, 3.0, 3.0, 1.0)), ("skip", (1.0, 1.61803, 1.61803, 1.0))]
)
def test_logits(tmp_path, kind, architecture, taps):
    config = small_discriminator(architecture=architecture, c_dim=4, mapping_layers=2, resample_filter=taps)
    generator = small_generator(resample_filter=taps)
    reference = Discriminator(config, seed=3)
    arrays = arrays_of(reference, discriminator_shapes(config))
    if kind == "nvlabs":
        content = write_nvlabs.snapshot(generator, config) | {"D": write_nvlabs.build(config, arrays)}
        source = write_nvlabs.write(tmp_path / "s.pkl", content)
    else:
        g, _, gs = write_tensorflow.snapshot(generator, config)
        source = write_tensorflow.write(tmp_path / "s.pkl", (g, write_tensorflow.discriminator(config, arrays), gs))
    convert(source, tmp_path / "model", with_discriminator=True)

    images = np.random.RandomState(0).randn(4, 3, 16, 16).astype(np.float32)
    label = np.eye(4, dtype=np.float32)
    with torch.no_grad():
        expected = reference(torch.from_numpy(images), torch.from_numpy(label))
    with jax.default_matmul_precision("highest"):
        ours = load_discriminator(tmp_path / "model")
        found = logits(ours, jnp.asarray(images.transpose(0, 2, 3, 1)), jnp.asarray(label))
    close(np.asarray(found), expected)
