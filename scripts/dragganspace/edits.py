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
      landmark: index into LANDMARKS.
      ws: [L, D], where it starts.
      handle_yx, target_yx: [2], whole pixels.
      region: bool [H, W], the pixels that the change alters, grown by a few, without holes.
      wanted: [A], the attributes after the change.
    """

    name: str
    landmark: int
    ws: np.ndarray
    handle_yx: np.ndarray
    target_yx: np.ndarray
    region: np.ndarray
    wanted: np.ndarray


def study_edits(model: Generator, kind: str, count: int, *, first_seed: int) -> list[StudyEdit]:
    """`count` edits on samples of a critter model; other `first_seed`s give other samples.

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
        handles, targets = (
            np.rint(np.asarray(landmark_places(kind, jnp.asarray(a), side))[:, index]) for a in (start, wanted)
        )
        chosen = _first_fit(handles, targets, side)
        if chosen is None:
            raise RuntimeError(f"no change of {attribute} moves {landmark} far enough; candidates: {_CANDIDATES}")
        before, after = (np.asarray(draw(jnp.asarray(a[chosen : chosen + 1])).image)[0] for a in (start, wanted))
        altered = binary_dilation(np.abs(after - before).max(-1) > _CHANGED, iterations=_GROWN)
        region = np.asarray(binary_fill_holes(altered))
        edits.append(
            StudyEdit(
                name=f"{landmark} by {attribute or 'pose'}",
                landmark=index,
                ws=np.asarray(model.mapping(jnp.asarray(z[chosen : chosen + 1])))[0],
                handle_yx=handles[chosen],
                target_yx=targets[chosen],
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


def _first_fit(handles: np.ndarray, targets: np.ndarray, side: int) -> int | None:
    far = np.linalg.norm(targets - handles, axis=1)
    within = (np.minimum(handles, targets) >= _MARGIN) & (np.maximum(handles, targets) <= side - 1 - _MARGIN)
    fits = np.flatnonzero((far >= _SHORTEST) & (far <= _LONGEST) & within.all(1))
    return int(fits[0]) if len(fits) else None
