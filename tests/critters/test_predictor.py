"""The predictor: what it reads off fresh pictures, what it refuses, and that its weights are small and checked."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import jax
import numpy as np
import pytest

from dragspace_jax.critters import ATTRIBUTES, KINDS, LANDMARKS, LATENT_DIM, SEGMENTS, Picture, entangle
from dragspace_jax.critters.predictor import (
    SIDE,
    Prediction,
    Predictor,
    PredictorError,
    load_predictor,
    predict,
    predictor_card,
)
from dragspace_jax.critters.segments import named_region
from dragspace_jax.drag.region import grown_region
from tests.critters.drawings import BATCH, drawing

COUNT = BATCH  # pictures of each kind
SLACK = 1.5  # how much worse than the card so few pictures may be
WEIGHTS = Path(str(importlib.resources.files("dragspace_jax.critters"))) / "weights" / "predictor.npz"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor()


@pytest.fixture(scope="module")
def pictures() -> Picture:
    """COUNT dogs, then COUNT cats, of latents that no training saw."""
    attributes = entangle(jax.random.normal(jax.random.key(31_415), (COUNT, LATENT_DIM)))
    parts = [drawing(kind, SIDE)(attributes) for kind in KINDS]
    return jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts)


@pytest.fixture(scope="module")
def found(predictor: Predictor, pictures: Picture) -> Prediction:
    return predict(predictor, np.asarray(pictures.image))


def inside(landmarks_yx: np.ndarray) -> np.ndarray:
    """Which landmarks [B, P] are in the frame; the card counts no others."""
    return np.all((landmarks_yx >= 0) & (landmarks_yx <= SIDE - 1), -1)


def test_segments_are_found_where_they_are_drawn(found, pictures):
    for segmentation, drawn in zip(found.segmentation, pictures.segmentation, strict=True):
        for name in ("mouth", "eye", "face"):
            seen, there = (named_region(each, [name]) for each in (segmentation, drawn))
            assert np.sum(_near(seen) & there) > 0.95 * there.sum(), name
            assert np.sum(seen & ~_near(there)) < 0.05 * there.sum(), name


def _near(region: np.ndarray) -> np.ndarray:
    """What is within as many pixels as a region grows by, for a drag that moves nothing."""
    still = np.argwhere(region)[:1]
    return grown_region(region, still, still)


def test_shapes_types_and_ranges(found):
    assert found.landmarks_yx.shape == (2 * COUNT, len(LANDMARKS), 2)
    assert found.landmarks_yx.dtype == np.float32
    assert found.segmentation.shape == (2 * COUNT, SIDE, SIDE)
    assert found.segmentation.dtype == np.int32
    assert set(np.unique(found.segmentation)) <= set(range(len(SEGMENTS)))
    assert found.attributes.shape == (2 * COUNT, len(ATTRIBUTES))
    assert found.attributes.dtype == np.float32


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_fresh_pictures_are_read_as_well_as_the_card_says(pictures, found, number):
    rows, claimed = slice(number * COUNT, (number + 1) * COUNT), predictor_card()[f"{KINDS[number]}, drawn"]
    truth = np.asarray(pictures.landmarks_yx)[rows]
    missed = np.linalg.norm(found.landmarks_yx[rows] - truth, axis=-1)[inside(truth)]
    assert missed.mean() < SLACK * claimed["landmark_px"]
    assert claimed["landmark_px"] < 1.0
    right = found.segmentation[rows] == np.asarray(pictures.segmentation)[rows]
    assert 1 - right.mean() < SLACK * (1 - claimed["segmentation_accuracy"]) + 0.005


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_attributes_are_read_as_well_as_the_card_says(found, number):
    truth = np.asarray(entangle(jax.random.normal(jax.random.key(31_415), (COUNT, LATENT_DIM))))
    spread = np.asarray(entangle(jax.random.normal(jax.random.key(27), (2000, LATENT_DIM)))).var(0)
    missed = np.square(found.attributes[number * COUNT : (number + 1) * COUNT] - truth).mean(0) / spread
    claimed = np.mean(list(predictor_card()[f"{KINDS[number]}, drawn"]["attributes_r2"].values()))
    assert missed.mean() < SLACK * (1 - claimed) + 0.02
    assert claimed > 0.5


def test_a_picture_is_read_alike_in_any_batch(predictor, pictures, found):
    alone = predict(predictor, np.asarray(pictures.image[3:4]))
    np.testing.assert_allclose(alone.landmarks_yx, found.landmarks_yx[3:4], atol=1e-3)
    np.testing.assert_allclose(alone.attributes, found.attributes[3:4], atol=1e-3)
    many = predict(predictor, np.tile(np.asarray(pictures.image), (3, 1, 1, 1)))
    np.testing.assert_allclose(many.landmarks_yx, np.tile(found.landmarks_yx, (3, 1, 1)), atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 64, 64, 3), (2, 128, 128, 1), (128, 128, 3), (0, 128, 128, 3)])
def test_pictures_of_another_shape_are_refused(predictor, shape):
    with pytest.raises(PredictorError, match="128, 128, 3"):
        predict(predictor, np.zeros(shape, np.float32))


def test_pictures_that_are_no_finite_floats_are_refused(predictor, pictures):
    picture = np.asarray(pictures.image[:1])
    with pytest.raises(PredictorError, match="are uint8; the predictor reads floats"):
        predict(predictor, picture.astype(np.uint8))
    with pytest.raises(PredictorError, match="not finite"):
        predict(predictor, np.where(np.arange(3) == 1, np.nan, picture))
    with pytest.raises(PredictorError, match="reads"):
        predict(predictor, [[0.0]])  # type: ignore[arg-type]


def test_segments_lie_where_they_were_learnt(predictor, pictures, found):
    """The network says what is at pixels of even coordinates; nothing in between may move that."""
    logits = np.concatenate([predictor(pictures.image[row : row + 1]).logits for row in range(2)])
    np.testing.assert_array_equal(found.segmentation[:2, ::2, ::2], logits.argmax(-1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_says_that_drawings_are_read_well_enough_to_be_drawn_again(kind):
    claimed = predictor_card()[f"{kind}, drawn"]
    assert claimed["drawing_error"] <= 0.010
    assert min(claimed["attributes_r2"][f"eye_opening_{side}"] for side in ("left", "right")) >= 0.96
    assert all(each["count"] > 10 for each in claimed["openings"].values())


def test_openings_are_read_as_well_as_the_card_says(found):
    columns = [[each.name for each in ATTRIBUTES].index(f"eye_opening_{side}") for side in ("left", "right")]
    truth = np.asarray(entangle(jax.random.normal(jax.random.key(31_415), (COUNT, LATENT_DIM))))[:, columns]
    missed = found.attributes[:, columns] - np.concatenate([truth, truth])
    claimed = [each["rms"] for kind in KINDS for each in predictor_card()[f"{kind}, drawn"]["openings"].values()]
    assert np.sqrt(np.square(missed).mean()) < SLACK * max(claimed)


def test_the_weights_are_small_and_half_precision():
    assert WEIGHTS.stat().st_size <= 1_300_000
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype(np.float16)}


def test_damaged_weights_are_refused(tmp_path):
    damaged = tmp_path / "predictor.npz"
    whole = WEIGHTS.read_bytes()
    for content in (b"", b"not an archive", whole[: len(whole) // 2], whole[:5000] + b"\0" * 64 + whole[5064:]):
        damaged.write_bytes(content)
        with pytest.raises(PredictorError, match=r"predictor\.npz"):
            load_predictor(damaged)
    np.savez(damaged, stem=np.zeros(3, np.float16))
    with pytest.raises(PredictorError, match="names or shapes"):
        load_predictor(damaged)
    with pytest.raises(PredictorError, match="absent"):
        load_predictor(tmp_path / "absent.npz")
