"""What the embedded BigGAN is trained with, against the JAX model that it becomes."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import torch

from dragspace_jax.checkpoint import ModelCard
from dragspace_jax.convert.biggan import biggan_shapes
from dragspace_jax.critters import KINDS
from dragspace_jax.critters.evaluator import species_of
from dragspace_jax.networks.parameters import parameters
from scripts import train_critters_biggan as training
from scripts.biggan_synthesis import Synthesis, initial_values


def test_synthesis(monkeypatch):
    config = dataclasses.replace(
        training.CONFIG, resolution=16, layers=((True, 16, 8), (False, 8, 4), (False, 4, 2), (True, 2, 1)),
        attention_layer_position=3, channel_width=4, z_dim=6,
    )  # fmt: skip
    monkeypatch.setattr(training, "CONFIG", config)
    values = initial_values(config, biggan_shapes(config), 0)
    synthesis = Synthesis(config, values, {}, decay=0.9)
    z, labels = torch.randn(4, 6, generator=torch.Generator().manual_seed(1)), torch.eye(2).repeat(2, 1)
    with torch.no_grad():
        synthesis.images(z, labels)  # measures
        synthesis.decay = 1.0
        expected = synthesis.images(z, labels).permute(0, 2, 3, 1)
    model = training.jax_model(values, synthesis.statistics)
    images = jax.jit(lambda model, z, labels: model(z, labels, truncation=0.6))(model, z.numpy(), labels.numpy())
    np.testing.assert_allclose(images, expected, atol=1e-4)
    assert all(parameters(model)[name].shape == shape for name, shape in biggan_shapes(config).items())
    assert np.std(expected.numpy()) > 0.05


def test_species_by_class():
    """What segments are seen by: the class says which animal a picture shows."""
    card = ModelCard(
        generator=training.CONFIG, discriminator=None, source={"format": "trained", "kinds": list(KINDS)}, files={}
    )
    assert [species_of(card, label) for label in (0, 1, 2, None)] == ["dog", "cat", None, "dog"]
