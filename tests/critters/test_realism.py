"""Realism: a drawing is near a drawing, a blurred one is not."""

from __future__ import annotations

import inspect

import jax
import numpy as np
import pytest

from dragspace_jax.critters import LATENT_DIM, entangle, realism
from dragspace_jax.critters.predictor import SIDE, PredictorError, load_predictor
from dragspace_jax.critters.realism import nearest_drawing
from tests.critters.drawings import OPTIONS, drawing, filled


@pytest.fixture(autouse=True)
def _optimised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search with all optimisations, since it takes longer than compiling it; older fusions compile faster."""
    options = {**OPTIONS, "xla_cpu_use_fusion_emitters": False}
    search = jax.jit(inspect.unwrap(realism._search), static_argnums=(0, 3), compiler_options=options)
    monkeypatch.setattr(realism, "_search", search)


def test_a_drawing_finds_itself_and_a_mixture_of_two_does_not():
    attributes = entangle(jax.random.normal(jax.random.key(5), (2, LATENT_DIM)))
    drawn = np.asarray(drawing("cat", SIDE)(filled(attributes)).image)[:2]
    images = np.stack([drawn[0], drawn[1], drawn.mean(0)])
    found, errors = nearest_drawing(load_predictor(), "cat", images)
    assert found.shape == (3, attributes.shape[1])
    assert errors[:2].max() < 5e-4
    assert errors[2] > 5e-3
    redrawn = np.asarray(drawing("cat", SIDE)(filled(found[:2])).image)[:2]
    np.testing.assert_allclose(np.square(redrawn - drawn).mean((1, 2, 3)), errors[:2], rtol=0.05, atol=1e-6)


def test_other_pictures_are_refused():
    with pytest.raises(PredictorError, match="128"):
        nearest_drawing(load_predictor(), "dog", np.zeros((1, 64, 64, 3), np.float32))
    with pytest.raises(ValueError, match="choose one of"):
        nearest_drawing(load_predictor(), "cow", np.zeros((1, SIDE, SIDE, 3), np.float32))
