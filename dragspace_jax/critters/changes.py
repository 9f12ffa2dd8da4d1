"""Changes of a face whose effect on a landmark is known: edits made backwards, so that their targets can be reached.

The world of the critters is known. Change one attribute of a sample, draw it again, and the renderer says where the
landmark went: a drag from the one place to the other asks for nothing that a face cannot do.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax

from dragspace_jax.critters.renderer import render


class Change(NamedTuple):
    """A landmark of `LANDMARKS`, an attribute that moves it, and the value that the attribute takes, in its units."""

    landmark: str
    attribute: str
    value: float


CHANGES = (
    Change("nose", "yaw", 0.4),
    Change("ear_left_tip", "ear_left_raise", 0.95),
    Change("lip_bottom", "mouth_opening", 0.95),
    Change("head_top", "roll", 0.22),
    Change("eyelid_left_top", "eye_opening_left", 0.03),
    Change("nose", "pitch", 0.22),
    Change("nose", "yaw", -0.4),
    Change("ear_right_tip", "ear_right_raise", 0.05),
    Change("lip_bottom", "mouth_opening", 0.05),
    Change("head_top", "roll", -0.22),
    Change("eyelid_right_top", "eye_opening_right", 0.95),
    Change("nose", "pitch", -0.22),
)
"""Poses and features, both ways, so that every edit has others of another landmark and attribute beside it."""


@partial(jax.jit, static_argnums=(0, 2))
def landmark_places(kind: str, attributes: jax.Array, side: int) -> jax.Array:
    """Where the renderer puts the landmarks [B, P, 2] of attributes [B, A], in (y, x) pixels of a side."""
    return render(kind, attributes, side).landmarks_yx
