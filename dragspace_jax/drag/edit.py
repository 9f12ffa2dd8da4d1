"""An edit as a value, checked where it enters, and how it may end."""

from __future__ import annotations

import dataclasses
import enum

import numpy as np
from numpy.typing import ArrayLike

from dragspace_jax.drag.settings import EditError
from dragspace_jax.stylegan2.config import GeneratorConfig


class Outcome(enum.IntEnum):
    """How a drag stands or ended; a value, never an exception inside compiled code."""

    RUNNING = 0
    REACHED = 1
    STEP_LIMIT = 2
    NOT_FINITE = 3
    STALLED = 4
    INVALID = 5

    @property
    def label(self) -> str:
        """The outcome as people read it."""
        return self.name.lower().replace("_", " ")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edit:
    """What the user marked.

    Attributes:
      handles_yx, targets_yx: [N, 2] float32, pixels of the image.
      mask: [H, W] float32, 1 where the image must stay, or None.
    """

    handles_yx: np.ndarray
    targets_yx: np.ndarray
    mask: np.ndarray | None


def _points(name: str, points_yx: ArrayLike, side: int) -> np.ndarray:
    try:
        points = np.array(points_yx, np.float32)  # a copy: the caller may use its array again
    except (TypeError, ValueError) as error:
        raise EditError(f"{name} are not an array of numbers [N, 2]: {error}") from error
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise EditError(f"{name} have shape {points.shape}; they must be [N, 2] with at least one point")
    for y, x in points:
        if not (0 <= y <= side - 1 and 0 <= x <= side - 1):
            raise EditError(f"{name} hold the point x={x:g}, y={y:g}, outside the image (0 to {side - 1})")
    return points


def make_edit(handles_yx: ArrayLike, targets_yx: ArrayLike, side: int, mask: ArrayLike | None = None) -> Edit:
    """Check an edit for an image of `side` pixels.

    Args:
      handles_yx, targets_yx: [N, 2], pixels; handles are rounded to whole pixels, as published.
      side: the image's side in pixels.
      mask: [H, W], 1 where the image must stay, 0 where it may change; both must occur.

    Raises:
      EditError: a point outside the image, unequal numbers of points, a mask of another size or without both values.
    """
    handles, targets = _points("handles", handles_yx, side), _points("targets", targets_yx, side)
    if len(handles) != len(targets):
        raise EditError(f"there are {len(handles)} handles and {len(targets)} targets; every handle needs its target")
    if mask is not None:
        try:
            mask = np.array(mask, np.float32)
        except (TypeError, ValueError) as error:
            raise EditError(f"the mask is not an array of numbers [H, W]: {error}") from error
        if mask.shape != (side, side):
            raise EditError(f"the mask has shape {mask.shape}; the image is {side} × {side}")
        if set(np.unique(mask).tolist()) != {0.0, 1.0}:
            raise EditError("the mask must hold both 0 (may change) and 1 (must stay), and nothing else")
    return Edit(handles_yx=np.round(handles), targets_yx=targets, mask=mask)


def check_latents(config: GeneratorConfig, ws: ArrayLike) -> np.ndarray:
    """Latents [L, D] or [1, L, D] as float32 [L, D].

    Raises:
      EditError: they do not fit the model or are not finite.
    """
    try:
        if np.iscomplexobj(ws):
            raise ValueError("they are complex")
        array = np.array(ws, np.float32)  # a copy: the caller may use its array again
    except (TypeError, ValueError) as error:
        raise EditError(f"the latents are not an array of numbers: {error}") from error
    array = array[0] if array.ndim == 3 and array.shape[0] == 1 else array
    expected = (config.num_ws, config.w_dim)
    if array.shape != expected:
        raise EditError(f"the latents have shape {array.shape}; the model takes [{expected[0]}, {expected[1]}]")
    if not np.isfinite(array).all():
        raise EditError("the latents hold numbers that are not finite")
    return array
