"""Drags whose targets are known to be reachable: a landmark, and where the renderer puts it after a change.

The world of the critters is known, so an edit can be made backwards: take a sample, change one attribute (or take the
whole pose of another sample), draw it again, and see where the landmark went and which pixels changed.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import binary_dilation, binary_fill_holes

from dragspace_jax.critters import ATTRIBUTES, LANDMARKS, entangle, render
from dragspace_jax.critters.attributes import COLOURS, NAMES
from dragspace_jax.critters.changes import landmark_places
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.mapping import normalise_second_moment

POSE = None  # instead of an attribute: the pose and the features of another sample, in the first one's colours
CHANGES = (
    ("nose", "yaw"),
    ("ear_left_tip", "ear_left_raise"),
    ("lip_bottom", "mouth_opening"),
    ("nose", POSE),
    ("eyelid_left_top", "eye_opening_left"),
    ("head_top", "roll"),
    ("ear_right_tip", "ear_right_raise"),
    ("nose", "pitch"),
    ("eyelid_right_top", "eye_opening_right"),
    ("chin", POSE),
    ("cheek_left", "head_x"),
    ("ear_right_tip", POSE),
)
_SHORTEST, _LONGEST, _MARGIN = 5.0, 40.0, 4.0  # px of the 128 px image
_CHANGED = 0.1  # of the range of 2: a pixel that differs by more belongs to what moves
_GROWN = 3  # px
_CANDIDATES = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyEdit:
    """One drag of the study.

    Attributes:
      name: what changes, `landmark by attribute`.
      landmarks: [N], indices into LANDMARKS; the first is the one that the change is known by.
      ws: [L, D], where it starts.
      handles_yx, targets_yx: [N, 2], whole pixels, of the landmarks before and after.
      region: bool [H, W], the pixels that the change alters, grown by a few, without holes.
      wanted: [A], the attributes after the change.
    """

    name: str
    landmarks: np.ndarray
    ws: np.ndarray
    handles_yx: np.ndarray
    targets_yx: np.ndarray
    region: np.ndarray
    wanted: np.ndarray

    @property
    def landmark(self) -> int:
        """The first of the landmarks."""
        return int(self.landmarks[0])

    @property
    def handle_yx(self) -> np.ndarray:
        """[2], of the first landmark."""
        return self.handles_yx[0]

    @property
    def target_yx(self) -> np.ndarray:
        """[2], of the first landmark."""
        return self.targets_yx[0]


def study_edits(model: Generator, kind: str, count: int, *, first_seed: int, handles: int = 1) -> list[StudyEdit]:
    """`count` edits on samples of a critter model; other `first_seed`s give other samples.

    Each has up to `handles` landmarks, of those that lie within the frame: the one that the change is known by, then
    always the one farthest from those before. A landmark that the change does not move is held where it is.

    Raises:
      RuntimeError: no candidate of a kind moves its landmark far enough within the frame.
    """
    side = model.config.resolution
    draw = jax.jit(lambda attributes: render(kind, attributes, side))
    edits = []
    for number in range(count):
        landmark, attribute = CHANGES[number % len(CHANGES)]
        random = np.random.default_rng([first_seed, number])
        z = random.standard_normal((_CANDIDATES, model.config.z_dim)).astype(np.float32)
        start = np.asarray(entangle(normalise_second_moment(jnp.asarray(z))))
        wanted = _changed(start, attribute, random)
        index = LANDMARKS.index(landmark)
        before_yx, after_yx = (
            np.rint(np.asarray(landmark_places(kind, jnp.asarray(a), side))) for a in (start, wanted)
        )
        chosen = _first_fit(before_yx[:, index], after_yx[:, index], side)
        if chosen is None:
            raise RuntimeError(f"no change of {attribute} moves {landmark} far enough; candidates: {_CANDIDATES}")
        before, after = (np.asarray(draw(jnp.asarray(a[chosen : chosen + 1])).image)[0] for a in (start, wanted))
        altered = binary_dilation(np.abs(after - before).max(-1) > _CHANGED, iterations=_GROWN)
        region = np.asarray(binary_fill_holes(altered))
        landmarks = _spread(before_yx[chosen], after_yx[chosen], index, handles, side)
        edits.append(
            StudyEdit(
                name=f"{landmark} by {attribute or 'pose'}",
                landmarks=landmarks,
                ws=np.asarray(model.mapping(jnp.asarray(z[chosen : chosen + 1])))[0],
                handles_yx=before_yx[chosen, landmarks],
                targets_yx=after_yx[chosen, landmarks],
                region=region,
                wanted=wanted[chosen],
            )
        )
    return edits


def _changed(start: np.ndarray, attribute: str | None, random: np.random.Generator) -> np.ndarray:
    """Attributes [B, A] after the change."""
    wanted = start.copy()
    if attribute is POSE:
        geometry = [index for index, name in enumerate(NAMES) if name not in COLOURS]
        wanted[:, geometry] = np.roll(start, 1, 0)[:, geometry]
    else:
        index = NAMES.index(attribute)
        wanted[:, index] = random.uniform(ATTRIBUTES[index].low, ATTRIBUTES[index].high, len(start))
    return wanted


def _within(handles: np.ndarray, targets: np.ndarray, side: int) -> np.ndarray:
    """Whether both lie within the frame: [...] of points [..., 2]."""
    inside = (np.minimum(handles, targets) >= _MARGIN) & (np.maximum(handles, targets) <= side - 1 - _MARGIN)
    return np.all(inside, -1)


def _spread(before: np.ndarray, after: np.ndarray, first: int, count: int, side: int) -> np.ndarray:
    """Up to `count` of the landmarks [P, 2], the first one and then always the farthest from those before."""
    chosen, usable = [first], _within(before, after, side)
    while len(chosen) < count:
        apart = np.linalg.norm(before[:, None] - before[chosen][None], axis=-1).min(1)
        farthest = int(np.argmax(np.where(usable, apart, 0.0)))
        if apart[farthest] == 0.0 or not usable[farthest]:
            break
        chosen.append(farthest)
    return np.array(chosen)


def _first_fit(handles: np.ndarray, targets: np.ndarray, side: int) -> int | None:
    far = np.linalg.norm(targets - handles, axis=1)
    fits = np.flatnonzero((far >= _SHORTEST) & (far <= _LONGEST) & _within(handles, targets, side))
    return int(fits[0]) if len(fits) else None
