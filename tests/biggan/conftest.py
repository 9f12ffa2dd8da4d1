"""Tiny networks want one thread of torch; a small BigGAN for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dragspace_jax.biggan import BigGAN
from dragspace_jax.checkpoint import load_model
from dragspace_jax.convert import convert

from .published import random_model, settings, write_folder


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BigGAN of 16 px with random weights, 3 classes and 3 sets of statistics as a model folder; do not change it."""
    folder = tmp_path_factory.mktemp("biggan")
    convert(write_folder(folder / "published", random_model(settings(16, num_classes=3, n_stats=3))), folder / "model")
    return folder / "model"


@pytest.fixture(scope="session")
def tiny_biggan(tiny: Path) -> BigGAN:
    model = load_model(tiny)
    assert isinstance(model, BigGAN)
    return model
