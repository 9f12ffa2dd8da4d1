"""Segments by their names and groups, and where the predictor sees them on a picture of an embedded model."""

from __future__ import annotations

import numpy as np
import pytest

from dragspace_jax.checkpoint import load
from dragspace_jax.critters.renderer import SEGMENTS
from dragspace_jax.critters.segments import GROUPS, SegmentError, named_region, segment_region
from dragspace_jax.inputs import seed_latents

ALL = np.arange(len(SEGMENTS), dtype=np.int32)[None]


def names_of(region: np.ndarray) -> set[str]:
    return {SEGMENTS[index] for index in np.flatnonzero(region[0])}


def test_names_and_groups_are_put_together() -> None:
    assert names_of(named_region(ALL, ["mouth"])) == {"mouth"}
    assert names_of(named_region(ALL, ["eye", "nose", "eye_left"])) == {"eye_left", "eye_right", "nose"}
    assert names_of(named_region(ALL, ["face"])) == set(SEGMENTS) - {"background", "body", "ear_left", "ear_right"}
    assert {part for parts in GROUPS.values() for part in parts} <= set(SEGMENTS)


def test_what_is_not_known_or_not_seen() -> None:
    with pytest.raises(SegmentError, match=r"segment 'tail' is not known; segments are background, .* ear \(ear_left"):
        named_region(ALL, ["mouth", "tail"])
    with pytest.raises(SegmentError, match="names none"):
        named_region(ALL, [])
    with pytest.raises(
        SegmentError, match=r"segment 'ear' is not seen on the picture; there are background, body, head$"
    ):
        named_region(ALL[:, :3], ["ear"])


def test_segments_of_a_generated_picture() -> None:
    model = load("critters-dog")
    ws = seed_latents(model, [13], psi=1)[0]
    face, mouth = segment_region(model, ws, "face"), segment_region(model, ws, ["mouth"])
    assert mouth.shape == (128, 128)
    assert (face >= mouth).all()
    assert 0 < mouth.sum() < face.sum() < 128 * 128 / 2
    centres = {
        name: np.argwhere(segment_region(model, ws, name)).mean(0)
        for name in ("eye_left", "eye_right", "nose", "mouth")
    }
    assert centres["eye_left"][1] < centres["nose"][1] < centres["eye_right"][1]  # the picture's left and right
    assert centres["eye_left"][0] < centres["nose"][0] < centres["mouth"][0]


def test_models_of_another_size_are_refused(tiny_generator) -> None:
    with pytest.raises(SegmentError, match="pictures of 32 px are not read here"):
        segment_region(tiny_generator, np.zeros((8, 16), np.float32), "mouth")
