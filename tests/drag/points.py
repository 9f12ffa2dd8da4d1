"""Lanes and points made by hand, for what a direction or a step size does with them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from dragspace_jax.drag import DragSettings
from dragspace_jax.drag.state import ByHandle, Handles, Lanes, Point, Progress

from .doubles import Whole


def lanes_of(settings: DragSettings, coordinates: jax.Array) -> Lanes:
    """Lanes at coordinates [B, K] with a handle each."""
    count = coordinates.shape[0]
    handles = Handles(
        lane=jnp.arange(count, dtype=jnp.int32),
        start_yx=jnp.zeros((count, 2)),
        targets_yx=jnp.zeros((count, 2)),
        valid=jnp.ones(count, bool),
    )
    return Lanes(space=Whole(), settings=settings, arrays={}, handles=handles, base=None, start=coordinates)


def point_at(far: jax.Array, **about: Any) -> Point:
    """A point whose handles, one a lane, are so far from their targets [B]."""
    handles = ByHandle((jnp.zeros((far.shape[0], 2)), far))
    progress = Progress(left=far, total=far, reached=jnp.zeros(far.shape[0], bool), handles=handles)
    return Point(carry=None, progress=progress, loss=jnp.zeros(far.shape[0]), **about)
