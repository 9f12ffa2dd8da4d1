"""Edits carried from one model to another: which are planned, and that a model carries them to itself unchanged."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest

from dragspace_jax.analysis.align import PCABasis, fit_alignment
from dragspace_jax.cli.align_tables import tables
from dragspace_jax.critters import LANDMARKS, entangle, render
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.changes import CHANGES
from dragspace_jax.critters.evaluator import Evaluator, Predictions
from dragspace_jax.drag import DragSettings
from dragspace_jax.spaces import WPlus
from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.transfer.edits import SHORTEST, PlannedEdit, plan_edits
from dragspace_jax.transfer.latents import sample_w
from dragspace_jax.transfer.models import Model, Models
from dragspace_jax.transfer.pairs import Pairs
from dragspace_jax.transfer.repeat import unrelated
from dragspace_jax.transfer.scores import agreement, attribute_scores, edit_scores, space_scores
from dragspace_jax.transfer.sheet import ROWS, edit_sheet
from dragspace_jax.transfer.work import IMAGES_PER_DRAG, Meter, Work

ALL = Evaluator(predictor=None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    """40 dogs as a perfect predictor would have them."""
    attributes = entangle(jax.random.normal(jax.random.key(0), (40, 32)))
    landmarks = jax.jit(lambda a: render("dog", a, 128).landmarks_yx)(attributes)
    return Predictions(np.asarray(attributes), np.asarray(landmarks))


def test_planned_edits_can_be_reached_and_are_long_enough(predictions):
    plans = plan_edits(ALL, "dog", predictions, len(CHANGES))
    assert len(plans) > 6
    assert len({plan.row for plan in plans}) == len(plans)
    wanted = np.stack([predictions.attributes[plan.row] for plan in plans])
    for row, plan in zip(wanted, plans, strict=True):
        row[NAMES.index(plan.what.attribute)] = plan.what.value
    places = np.asarray(jax.jit(lambda a: render("dog", a, 128).landmarks_yx)(wanted))
    for plan, place in zip(plans, places, strict=True):
        assert LANDMARKS[plan.landmark] == plan.what.landmark
        assert np.linalg.norm(plan.target_yx - plan.handle_yx) >= SHORTEST
        np.testing.assert_allclose(plan.target_yx, place[plan.landmark], atol=0.75)  # the handle is a whole pixel


def test_unrelated_edits_differ_in_landmark_and_attribute():
    nowhere = np.zeros(2)
    plans = [PlannedEdit(row=i, change=i % len(CHANGES), handle_yx=nowhere, target_yx=nowhere) for i in range(24)]
    other = unrelated(plans, 0)
    assert other is not None
    for plan, number in zip(plans, other, strict=True):
        assert plan.what.landmark != plans[number].what.landmark
        assert plan.what.attribute != plans[number].what.attribute
    assert unrelated(plans[:1], 0) is None


def test_agreement_has_every_attribute(predictions):
    scores = agreement(ALL, predictions, predictions)
    assert tuple(scores["attributes"]) == NAMES
    assert scores["coarse"] == pytest.approx(1.0)
    assert scores["fine"] == pytest.approx(1.0)


def test_what_is_not_reliable_does_not_count(predictions):
    partly = dataclasses.replace(ALL, reliable=("yaw", "smile"))
    assert set(agreement(partly, predictions, predictions)["attributes"]) == {"yaw", "smile"}
    assert {plan.what.attribute for plan in plan_edits(partly, "dog", predictions, 4)} == {"yaw"}
    assert plan_edits(dataclasses.replace(ALL, reliable=("smile",)), "dog", predictions, 4) == []


class SmallEvaluator(Evaluator):
    """Predicts attributes and landmarks as smooth functions of an image, whatever it shows."""

    def predict_latents(self, model: Generator, ws: np.ndarray, on_progress=None) -> Predictions:
        images = render_images(model, np.asarray(ws, np.float32))
        flat = np.tanh(images.reshape(len(images), -1))
        random = np.random.default_rng(0)
        weights = random.standard_normal((flat.shape[1], len(NAMES) + 2 * len(LANDMARKS))) / np.sqrt(flat.shape[1])
        read = flat @ weights.astype(np.float32)
        if on_progress is not None:
            on_progress(len(images))
        return Predictions(read[:, : len(NAMES)], 16 + 20 * read[:, len(NAMES) :].reshape(len(images), -1, 2))


def test_a_model_carries_edits_to_itself_unchanged(tiny_generator, monkeypatch):
    evaluator = SmallEvaluator(predictor=None)  # type: ignore[arg-type]
    model = Model(network=tiny_generator, name="tiny", species="dog")
    models = Models(source=model, target=model)
    shown: list[tuple[str, int, int]] = []
    meter = Meter(Work(pairs=60, images=122, drags=3), lambda *what: shown.append(what))
    w = sample_w(tiny_generator, 60, 1, None)
    pairs = Pairs(source=w[:40], target=w[:40], held_source=w[40:], held_target=w[40:])
    basis = PCABasis(mean=np.zeros(16), components=np.eye(16), variance=np.ones(16))
    methods = ("identity", "affine")
    alignments = {method: fit_alignment(method, basis, basis, pairs.source, pairs.target) for method in methods}
    held, partners, scores = attribute_scores(evaluator, models, alignments, pairs, meter)
    assert shown[-1] == ("", 80, 122 + 3 * IMAGES_PER_DRAG)
    assert partners["coarse"] == pytest.approx(1.0)
    assert scores["affine"]["agreement"]["fine"] == pytest.approx(1.0, abs=1e-3)

    def planned(evaluator: Evaluator, species: str, predictions: Predictions, count: int) -> list[PlannedEdit]:
        points = np.random.default_rng(1).uniform(8, 24, (count, 2, 2)).round().astype(np.float32)
        return [PlannedEdit(row=i, change=i, handle_yx=a, target_yx=b) for i, (a, b) in enumerate(points)]

    monkeypatch.setattr("dragspace_jax.transfer.scores.plan_edits", planned)
    monkeypatch.setattr("dragspace_jax.transfer.edits.MOVED", 1e-6)
    monkeypatch.setattr(
        "dragspace_jax.transfer.edits.SETTINGS",
        DragSettings(steps=8, feature_block=16),
    )
    carried = edit_scores(
        evaluator, models, alignments, pairs, held, edits=3, space=WPlus(layers=4), seed=0, meter=meter
    )
    assert carried is not None
    assert {80 + number * IMAGES_PER_DRAG for number in (1, 2, 3)} < {done for _, done, _ in shown}
    assert shown[-1][1] == shown[-1][2]  # 2 images an edit for the drags, and 2 for each run of each map
    assert carried.captured == pytest.approx(1.0)
    for method in methods:
        runs = carried.scores[method]["transfer"]
        for name in ("aligned", "partner"):  # the partner of an image is the image itself
            assert runs[name] == pytest.approx({"edits": 3, "cosine": 1.0, "length": 1.0, "same_way": 1.0}, abs=1e-2)
        assert runs["unrelated"]["cosine"] < 0.99
    record = {
        "evaluated": True,
        "pairs_agreement": partners,
        "maps": {k: s | scores[k] | carried.scores[k] for k, s in space_scores(alignments, pairs).items()},
        "edits": carried.rows,
    }
    json.dumps(record, allow_nan=False)
    assert [table.row_count for table in tables(record)] == [3, 2]
    sheet = edit_sheet(tiny_generator, tiny_generator, carried.dragged, carried.repeated)
    assert sheet.shape[0] < sheet.shape[1]  # three rows, six columns
    assert len(carried.rows) <= ROWS
