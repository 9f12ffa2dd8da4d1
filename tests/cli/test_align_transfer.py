"""Edits carried from one model to another: which are planned, and that a model carries them to itself unchanged."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest

from dragspace_jax.analysis.align import Chart, fit_alignment
from dragspace_jax.cli.align_edits import SHORTEST, Plan, plan_edits
from dragspace_jax.cli.align_judge import Judge, Seen, agreement, every_layer
from dragspace_jax.cli.align_pairs import Pairs, sample_w
from dragspace_jax.cli.align_scores import Models, attribute_scores, space_scores, tables, transfer_scores
from dragspace_jax.cli.align_sheet import ROWS, edit_sheet
from dragspace_jax.cli.align_transfer import unrelated
from dragspace_jax.critters import LANDMARKS, entangle, render
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.changes import CHANGES
from dragspace_jax.drag import DragSettings
from dragspace_jax.spaces import WPlus
from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.rendering import render_images

DOGS = Judge(predictor=None, source="dog", target="dog")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """40 dogs as a perfect predictor would see them."""
    attributes = entangle(jax.random.normal(jax.random.key(0), (40, 32)))
    landmarks = jax.jit(lambda a: render("dog", a, 128).landmarks_yx)(attributes)
    return Seen(np.asarray(attributes), np.asarray(landmarks))


def test_planned_edits_can_be_reached_and_are_long_enough(seen):
    plans = plan_edits(DOGS, seen, len(CHANGES), 128)
    assert len(plans) > 6
    assert len({plan.row for plan in plans}) == len(plans)
    wanted = np.stack([seen.attributes[plan.row] for plan in plans])
    for row, plan in zip(wanted, plans, strict=True):
        row[NAMES.index(plan.what.attribute)] = plan.what.value
    places = np.asarray(jax.jit(lambda a: render("dog", a, 128).landmarks_yx)(wanted))
    for plan, place in zip(plans, places, strict=True):
        assert LANDMARKS[plan.landmark] == plan.what.landmark
        assert np.linalg.norm(plan.target_yx - plan.handle_yx) >= SHORTEST
        np.testing.assert_allclose(plan.target_yx, place[plan.landmark], atol=0.75)  # the handle is a whole pixel


def test_unrelated_edits_differ_in_landmark_and_attribute():
    plans = [Plan(row=i, change=i % len(CHANGES), handle_yx=np.zeros(2), target_yx=np.zeros(2)) for i in range(24)]
    other = unrelated(plans, 0)
    assert other is not None
    for plan, number in zip(plans, other, strict=True):
        assert plan.what.landmark != plans[number].what.landmark
        assert plan.what.attribute != plans[number].what.attribute
    assert unrelated(plans[:1], 0) is None


def test_agreement_has_every_attribute(seen):
    scores = agreement(DOGS, seen, seen)
    assert tuple(scores["attributes"]) == NAMES
    assert scores["coarse"] == pytest.approx(1.0)
    assert scores["fine"] == pytest.approx(1.0)


def test_what_cannot_be_read_is_not_judged(seen):
    partly = dataclasses.replace(DOGS, readable=("yaw", "smile"))
    assert set(agreement(partly, seen, seen)["attributes"]) == {"yaw", "smile"}
    assert {plan.what.attribute for plan in plan_edits(partly, seen, 4, 128)} == {"yaw"}
    assert plan_edits(dataclasses.replace(DOGS, readable=("smile",)), seen, 4, 128) == []


class SmallJudge(Judge):
    """Sees attributes and landmarks as smooth functions of an image, whatever it shows."""

    def see(self, model: Generator, w: np.ndarray) -> Seen:
        w = np.asarray(w, np.float32)
        images = render_images(model, w if w.ndim == 3 else every_layer(model, w))
        flat = np.tanh(images.reshape(len(images), -1))
        random = np.random.default_rng(0)
        weights = random.standard_normal((flat.shape[1], len(NAMES) + 2 * len(LANDMARKS))) / np.sqrt(flat.shape[1])
        read = flat @ weights.astype(np.float32)
        return Seen(read[:, : len(NAMES)], 16 + 20 * read[:, len(NAMES) :].reshape(len(images), -1, 2))


def test_a_model_carries_edits_to_itself_unchanged(tiny_generator, monkeypatch):
    judge = SmallJudge(predictor=None, source="dog", target="dog")  # type: ignore[arg-type]
    models = Models(source=tiny_generator, target=tiny_generator)
    w = sample_w(tiny_generator, 60, 1, None)
    pairs = Pairs(source=w[:40], target=w[:40], held_source=w[40:], held_target=w[40:])
    chart = Chart(mean=np.zeros(16), components=np.eye(16), variance=np.ones(16))
    kinds = ("identity", "affine")
    alignments = {kind: fit_alignment(kind, chart, chart, pairs.source, pairs.target) for kind in kinds}
    looked, partners, scores = attribute_scores(judge, models, alignments, pairs, lambda: None)
    assert partners["coarse"] == pytest.approx(1.0)
    assert scores["affine"]["agreement"]["fine"] == pytest.approx(1.0, abs=1e-3)

    def planned(judge: Judge, seen: Seen, count: int, side: int) -> list[Plan]:
        points = np.random.default_rng(1).uniform(8, 24, (count, 2, 2)).round().astype(np.float32)
        return [Plan(row=i, change=i, handle_yx=a, target_yx=b) for i, (a, b) in enumerate(points)]

    monkeypatch.setattr("dragspace_jax.cli.align_scores.plan_edits", planned)
    monkeypatch.setattr("dragspace_jax.cli.align_edits.MOVED", 1e-6)
    monkeypatch.setattr(
        "dragspace_jax.cli.align_edits.SETTINGS",
        DragSettings(steps=8),
    )
    done: list[int] = []
    carried = transfer_scores(
        judge, models, alignments, pairs, looked, edits=3, space=WPlus(layers=4), seed=0, on_progress=done.append
    )
    assert carried is not None
    assert done == [1, 2, 3]
    assert carried.captured == pytest.approx(1.0)
    for kind in kinds:
        runs = carried.scores[kind]["transfer"]
        for name in ("aligned", "partner"):  # the partner of an image is the image itself
            assert runs[name] == pytest.approx({"edits": 3, "cosine": 1.0, "length": 1.0, "same_way": 1.0}, abs=1e-2)
        assert runs["unrelated"]["cosine"] < 0.99
    record = {
        "judged": True,
        "pairs_agreement": partners,
        "maps": {k: s | scores[k] | carried.scores[k] for k, s in space_scores(alignments, pairs).items()},
        "edits": carried.rows,
    }
    json.dumps(record, allow_nan=False)
    assert [table.row_count for table in tables(record)] == [3, 2]
    sheet = edit_sheet(tiny_generator, tiny_generator, carried.dragged, carried.moves)
    assert sheet.shape[0] < sheet.shape[1]  # three rows, six columns
    assert len(carried.rows) <= ROWS
