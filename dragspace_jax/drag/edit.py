"""An edit and its settings as values, checked where they enter.

Both are pytrees. Of `DragSettings`, what shapes the program is static; the numbers (learning rate, steps, the mask's
weight) are arguments, so that changing them compiles nothing again.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from numbers import Integral, Real
from typing import Any, Literal

import jax
import numpy as np
from numpy.typing import ArrayLike

from dragspace_jax.errors import DragspaceError
from dragspace_jax.stylegan2.config import GeneratorConfig

_LARGEST_INT, _LARGEST_FLOAT = np.iinfo(np.int32).max, float(np.finfo(np.float32).max)
PUBLISHED_SIDE = 512
"""Radii and tolerances are pixels of an image of this side, as published."""


class EditError(DragspaceError):
    """An edit that cannot be run; the message names the input and what it should be."""


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


def default_feature_block(resolution: int) -> int:
    """The block whose features a drag follows: the published 128 px one, of smaller generators the last but one.

    On the embedded models of 128 px, block 64 brought the landmarks nearest to their targets
    (`scripts/feature_block_study.py`).
    """
    return 128 if resolution >= 256 else resolution // 2


_POSITIVE = ("learning_rate", "steps", "tolerance", "radius_motion", "radius_track")
_NOT_NEGATIVE = ("half_life", "slow_down", "pace", "momentum", "mask_weight", "stall")
_CHOICES = {"solver": ("adam", "adam-norm"), "noise": ("const", "none"), "dtype": ("float32", "bfloat16")}


def _static(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DragSettings:
    """How to drag. Defaults are the published ones (DESIGN §5); radii are pixels of a 512 px image.

    Attributes:
      feature_block: resolution of the block whose features are followed; None: `default_feature_block`.
      learning_rate: of the solver; in units of the space's coordinates.
      half_life: iterations in which the learning rate halves; 0: it stays.
      slow_down: distance of the farthest handle to its target below which the learning rate falls in proportion, in
        pixels of a 512 px image; 0: it does not.
      pace: by how much handles shall come nearer in an iteration, the most, in pixels of a 512 px image; steps are
        lengthened or shortened to keep it, 8 times at most; 0: they are not.
      paced: whether there is a pace; `resolved` fills it in. Edits with one have a program of their own, so that the
        published loop is not even rounded otherwise.
      solver: `adam`, a second moment a coordinate, or `adam-norm`, one for all, which keeps the gradient's direction.
      momentum: of the solver, Adam's beta 1.
      steps: the most iterations.
      tolerance: distance in pixels of the image at which a handle has arrived; None: `stop_distance`.
      radius_motion, radius_track: radii of the motion loss and of the tracking window.
      mask_weight: λ of the mask's term.
      stall: end a drag whose handles have come no nearer for so many iterations (the sum of their distances); 0: never.
      engine: `window` computes features near the handles only, `whole` the whole map up to the feature block, to the
        same numbers; None: `window` without a mask, `whole` with one, which needs it.
      noise: `const` or `none`.
      dtype: type of the synthesis, `float32` or `bfloat16`; the loop itself is float32.
    """

    feature_block: int | None = _static(None)
    learning_rate: float = 1e-3
    half_life: float = 0.0
    slow_down: float = 0.0
    pace: float = 0.0
    paced: bool = _static(False)
    solver: Literal["adam", "adam-norm"] = _static("adam")
    momentum: float = _static(0.9)
    steps: int = 300
    tolerance: float | None = None
    radius_motion: float = _static(3.0)
    radius_track: float = _static(12.0)
    mask_weight: float = 20.0
    stall: int = 0
    engine: Literal["whole", "window"] | None = _static(None)
    noise: Literal["const", "none"] = _static("const")
    dtype: Literal["float32", "bfloat16"] = _static("float32")

    def resolved(self, config: GeneratorConfig, *, masked: bool = False) -> DragSettings:
        """These settings, checked, with the feature block and the engine filled in for edits with or without masks.

        Raises:
          EditError: a number out of range, a feature block that the model does not have, or windows for a mask.
        """
        tolerance = stop_distance(config.resolution) if self.tolerance is None else self.tolerance
        self = dataclasses.replace(self, tolerance=tolerance)
        for name in _POSITIVE + _NOT_NEGATIVE:
            value = getattr(self, name)
            if not isinstance(value, Real) or not math.isfinite(value) or value < 0:
                raise EditError(f"{name} is {value!r}; it must be a finite number, not negative")
            if float(value) > (_LARGEST_INT if name in ("steps", "stall") else _LARGEST_FLOAT):
                raise EditError(f"{name} is {value!r}; that is too large a number")
            if value == 0 and name in _POSITIVE:
                raise EditError(f"{name} is {value!r}; it must be positive")
        if self.momentum >= 1:
            raise EditError(f"momentum is {self.momentum!r}; it must be below 1")
        for name in ("steps", "stall"):
            if not isinstance(getattr(self, name), Integral):
                raise EditError(f"{name} is {getattr(self, name)!r}; it must be a whole number")
        engine = ("whole" if masked else "window") if self.engine is None else self.engine
        if masked and engine == "window":
            raise EditError(
                "engine is 'window'; an edit with a mask needs 'whole', since the mask is compared everywhere"
            )
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise EditError(f"{name} is {getattr(self, name)!r}; a drag takes {' or '.join(known)}")
        block = default_feature_block(config.resolution) if self.feature_block is None else self.feature_block
        if block not in config.block_resolutions:
            blocks = ", ".join(map(str, config.block_resolutions))
            raise EditError(f"feature block {block} is not in the model; it has {blocks}")
        if engine not in ("whole", "window"):
            raise EditError(f"engine is {engine!r}; a drag takes whole or window")
        return dataclasses.replace(self, feature_block=block, engine=engine, paced=self.pace > 0)

    def pixels(self, radius: float, side: int) -> int:
        """A radius in whole pixels of an image of `side`, from 1 to `side` (round half to even, as published)."""
        return min(side, max(1, round(radius / PUBLISHED_SIDE * side)))


def stop_distance(side: int) -> float:
    """A handle this near its target has arrived, in pixels of an image of `side` (DESIGN §5.6)."""
    return max(2.0 / PUBLISHED_SIDE * side, 2.0)


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
