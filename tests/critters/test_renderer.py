"""Pictures of critters: shapes, sides, landmarks on their parts, and attributes that move what they name."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.critters import ATTRIBUTES, KINDS, LANDMARKS, LATENT_DIM, SEGMENTS, entangle, render
from tests.critters import drawings
from tests.critters.drawings import BATCH, filled

SIZE = 64
NAMES = [attribute.name for attribute in ATTRIBUTES]
MIDDLE = np.array([(attribute.low + attribute.high) / 2 for attribute in ATTRIBUTES], np.float32)


OPEN_EYES = {"eye_opening_left": 1.0, "eye_opening_right": 1.0}
CHANGES: tuple[dict[str, float], ...] = (
    OPEN_EYES,
    OPEN_EYES | {"eye_opening_left": 0.0},
    *({"mouth_opening": value} for value in (0.0, 0.5, 1.0)),
    *({"yaw": value} for value in (-0.4, 0.4)),
    *({"ear_right_raise": value} for value in (0.0, 1.0)),
)
"""What the tests ask of the middle animal: fewer than a batch, so that one drawing serves them all."""


def drawing(kind: str, resolution: int = SIZE):
    return drawings.drawing(kind, resolution)


@cache
def samples() -> jax.Array:
    return entangle(jax.random.normal(jax.random.key(2), (BATCH, LATENT_DIM)))


@cache
def changed(kind: str):
    """The middle animal with each of CHANGES, and as it is."""
    attributes = np.tile(MIDDLE, (BATCH, 1))
    for row, change in enumerate(CHANGES):
        for name, value in change.items():
            attributes[row, NAMES.index(name)] = value
    return jax.tree.map(np.asarray, drawing(kind)(attributes))


def draw(kind: str, *changes: dict[str, float]):
    """Pictures of the middle animal with each of the changes, which are of CHANGES."""
    rows = np.array([CHANGES.index(change) for change in changes])
    return jax.tree.map(lambda array: array[rows], changed(kind))


def area(picture, row: int, *names: str) -> int:
    return int(np.isin(picture.segmentation[row], [SEGMENTS.index(name) for name in names]).sum())


def landmark(picture, row: int, name: str) -> np.ndarray:
    return picture.landmarks_yx[row, LANDMARKS.index(name)]


each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_shapes_ranges_and_determinism(kind):
    first, second = drawing(kind)(samples()), drawing(kind)(samples())
    assert first.image.shape == (BATCH, SIZE, SIZE, 3)
    assert first.image.dtype == jnp.float32
    assert first.landmarks_yx.shape == (BATCH, len(LANDMARKS), 2)
    assert first.segmentation.shape == (BATCH, SIZE, SIZE)
    assert first.image.min() >= -1
    assert first.image.max() <= 1
    assert first.image.std() > 0.2
    assert set(np.unique(first.segmentation)) == set(range(len(SEGMENTS)))
    np.testing.assert_array_equal(first.image, second.image)


@each_kind
def test_a_small_picture_is_the_mean_of_a_large_one(kind):
    small = drawing(kind)(samples())
    large = drawing(kind, 2 * SIZE)(samples())
    mean = large.image.reshape(BATCH, SIZE, 2, SIZE, 2, 3).mean((2, 4))
    error = np.abs(small.image - mean)
    assert error.mean() < 0.01
    assert np.sqrt((error**2).mean()) < 0.03
    np.testing.assert_allclose((small.landmarks_yx + 0.5) * 2, large.landmarks_yx + 0.5, atol=1e-3)


@each_kind
def test_landmarks_lie_on_their_parts(kind):
    picture = jax.tree.map(np.asarray, drawing(kind)(samples()))
    parts = {
        "head_top": {"head", "ear_left", "ear_right"},
        "chin": {"head", "muzzle", "mouth"},
        "ear_left_tip": {"ear_left"},
        "ear_right_tip": {"ear_right"},
        "nose": {"nose"},
        "lip_top": {"mouth", "muzzle"},
    }
    for row in range(BATCH):
        for name, allowed in parts.items():
            y, x = np.rint(landmark(picture, row, name)).astype(int)
            assert SEGMENTS[picture.segmentation[row, y, x]] in allowed, (row, name)


@each_kind
def test_open_eyes_have_their_landmarks_inside_and_left_is_left(kind):
    picture = draw(kind, OPEN_EYES)
    for side in ("left", "right"):
        y, x = np.rint(landmark(picture, 0, f"eye_{side}")).astype(int)
        assert SEGMENTS[picture.segmentation[0, y, x]] == f"eye_{side}"
        top, bottom = landmark(picture, 0, f"eyelid_{side}_top"), landmark(picture, 0, f"eyelid_{side}_bottom")
        assert bottom[0] - top[0] > 0.08 * SIZE
    for part in ("eye_{}", "ear_{}_tip", "mouth_{}", "cheek_{}"):
        assert landmark(picture, 0, part.format("left"))[1] < landmark(picture, 0, part.format("right"))[1]


@each_kind
def test_frame_holds_ears_and_chin_nearly_always(kind):
    attributes = entangle(jax.random.normal(jax.random.key(3), (20 * BATCH, LATENT_DIM)))
    points = np.asarray(jax.jit(lambda a: render(kind, a, SIZE).landmarks_yx)(attributes))
    inside = ((points >= 0) & (points <= SIZE - 1)).all((1, 2))
    assert inside.mean() > 0.97


@each_kind
def test_opening_the_mouth_grows_it_and_lowers_the_chin(kind):
    picture = draw(kind, *({"mouth_opening": value} for value in (0.0, 0.5, 1.0)))
    mouth = [area(picture, row, "mouth") for row in range(3)]
    chins = [landmark(picture, row, "chin")[0] for row in range(3)]
    assert mouth[0] < mouth[1] < mouth[2]
    assert mouth[2] > 2 * mouth[0]
    assert chins[0] + 4 < chins[2]
    assert chins[0] < chins[1]


@each_kind
def test_yaw_moves_the_nose_most_and_the_ears_the_other_way(kind):
    picture = draw(kind, {"yaw": -0.4}, {"yaw": 0.4})
    moved = {name: (landmark(picture, 1, name) - landmark(picture, 0, name))[1] for name in LANDMARKS}
    assert moved["nose"] > moved["eye_left"] > 0.1 * SIZE
    assert moved["ear_left_middle"] < 0


@each_kind
def test_one_eye_closes_alone(kind):
    picture = draw(kind, OPEN_EYES, OPEN_EYES | {"eye_opening_left": 0.0})
    assert area(picture, 1, "eye_left") < 0.45 * area(picture, 0, "eye_left")
    assert area(picture, 1, "eye_right") == area(picture, 0, "eye_right")
    differs = np.abs(picture.image[1] - picture.image[0]).max(-1) > 1e-3
    distance = np.hypot(*(np.indices(differs.shape) - landmark(picture, 0, "eye_left")[:, None, None]))
    assert differs.any()
    assert distance[differs].max() < 0.18 * SIZE


@each_kind
def test_raising_an_ear_lifts_its_tip_only(kind):
    picture = draw(kind, {"ear_right_raise": 0.0}, {"ear_right_raise": 1.0})
    right = landmark(picture, 1, "ear_right_tip") - landmark(picture, 0, "ear_right_tip")
    assert right[0] < -0.05 * SIZE
    np.testing.assert_allclose(landmark(picture, 1, "ear_left_tip"), landmark(picture, 0, "ear_left_tip"), atol=1e-4)


@each_kind
def test_every_attribute_changes_the_picture_at_its_middle(kind):
    attributes = np.concatenate([np.tile(MIDDLE, (2, 1)) for _ in NAMES])
    for index, attribute in enumerate(ATTRIBUTES):
        reach = 0.25 * (attribute.high - attribute.low)
        attributes[2 * index, index] -= reach
        attributes[2 * index + 1, index] += reach
    parts = np.split(attributes, range(BATCH, len(attributes), BATCH))
    images = np.concatenate([drawing(kind)(filled(part)).image[: len(part)] for part in parts])
    change = np.abs(images[1::2] - images[::2]).max((1, 2, 3))
    assert (change > 0.05).all(), dict(zip(NAMES, change, strict=True))


@each_kind
def test_gradients_are_finite_also_at_the_ends_of_the_ranges(kind):
    low = np.array([attribute.low for attribute in ATTRIBUTES], np.float32)
    high = np.array([attribute.high for attribute in ATTRIBUTES], np.float32)
    # Not jitted: compiling the whole reverse pass takes far longer than running it once on small pictures.
    gradient = np.asarray(jax.grad(lambda a: (render(kind, a, 24).image ** 2).mean())(np.stack([low, MIDDLE, high])))
    assert np.isfinite(gradient).all()
    assert (gradient[1] != 0).sum() > len(NAMES) // 2


def test_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="dog, cat"):
        render("fish", jnp.asarray(MIDDLE[None]), 16)
    with pytest.raises(ValueError, match="24"):
        render("dog", jnp.zeros((1, 5)), 16)
