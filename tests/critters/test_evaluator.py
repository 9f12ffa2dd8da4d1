"""The evaluator: which attributes it is reliable for, which models it is for, and batches of one shape."""

from __future__ import annotations

import numpy as np

from dragspace_jax.checkpoint import read_card
from dragspace_jax.critters import LANDMARKS, evaluator
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.evaluator import Evaluator, Predictions, species_of


def test_only_models_of_critters_of_128_px_have_a_species(tiny_folder):
    cards = [read_card(name) for name in ("critters-dog", "critters-cat", tiny_folder)]
    assert [species_of(card) for card in cards] == ["dog", "cat", None]


def test_an_attribute_is_reliable_where_it_is_so_for_all_species(monkeypatch):
    monkeypatch.setattr(evaluator, "load_predictor", lambda: "predictor")
    shares = dict.fromkeys(NAMES, 0.9)
    card = {"dog, generated": {"attributes_r2": shares}, "cat, generated": {"attributes_r2": {**shares, "smile": 0.1}}}
    monkeypatch.setattr(evaluator, "predictor_card", lambda: card)
    assert Evaluator.load("dog").unreliable == []
    assert Evaluator.load("dog", "cat").unreliable == ["smile"]


def test_latents_are_rendered_and_predicted_in_batches_of_one_shape(tiny_generator, monkeypatch):
    rendered: list[int] = []

    def images_of(model, ws):
        rendered.append(len(ws))
        yield np.broadcast_to(ws[:, :1, :1, None], (len(ws), 4, 4, 3))

    class Mean(Evaluator):
        def predict(self, images: np.ndarray) -> Predictions:
            means = images.mean((1, 2))[:, :1]
            return Predictions(np.repeat(means, len(NAMES), 1), np.zeros((len(images), len(LANDMARKS), 2)))

    monkeypatch.setattr(evaluator, "render_batches", images_of)
    mean = Mean(predictor=None, reliable=("yaw", "smile"))  # type: ignore[arg-type]
    ws = np.random.default_rng(0).standard_normal((300, 8, 16)).astype(np.float32)
    added: list[int] = []
    found = mean.predict_latents(tiny_generator, ws, added.append)
    assert added == [256, 44]
    np.testing.assert_allclose(found.attributes[:, 0], ws[:, 0, 0], rtol=1e-6)
    assert mean.reliable_attributes(found).shape == (300, 2)
    few = mean.predict_latents(tiny_generator, ws[:3])
    assert rendered == [256, 44, 16]
    assert few.landmark([0, 1, 2]).shape == (3, 2)
    np.testing.assert_allclose(few.attributes, found.attributes[:3])


def test_the_embedded_predictor():
    images = np.zeros((1, 128, 128, 3), np.float32)
    found = Evaluator.load("dog", "cat").predict(images)
    assert found.attributes.shape == (1, len(NAMES))
    assert found.landmarks_yx.shape == (1, len(LANDMARKS), 2)
