"""An edit: as it is asked for, as it is checked where it enters, and how it may end."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Hashable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike

from dragspace_jax.drag import recipes
from dragspace_jax.drag.directions import Adam
from dragspace_jax.drag.method import Method
from dragspace_jax.drag.recipes import DEFAULT_RECIPE
from dragspace_jax.drag.region import grown_region
from dragspace_jax.drag.settings import DragSettings, EditError
from dragspace_jax.drag.step_sizes import Rate
from dragspace_jax.drag.supervision import MotionSupervision
from dragspace_jax.drag.within import prior_arrays
from dragspace_jax.errors import DragspaceError
from dragspace_jax.spaces import Space, Unmeasured


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
class EditRequest:
    """One edit as a caller asks for it; the id is the caller's.

    Attributes:
      latents: the image's, as the model's family has them: for StyleGAN2 ws [L, D] or [1, L, D], or `Latents`.
      handles_yx, targets_yx: [N, 2], pixels of the image, (y, x); handles are rounded to whole pixels, as published.
      id: names the result.
      mask: [H, W], 1 (or 255, or true) where the image must stay, 0 where it may change; both must occur; or None.
      region: instead, [H, W], 1 (or 255, or true) where the image may change (see `box_region`, `segment_region`). It
        grows by 1/32 of the side and along the handles' ways, as `drag.region.grown_region` says.
      arrays: what an objective of your own needs of an edit, by name.
      space: coordinates to move in; None: the recipe's. Different bases of one shape share a program. A `RegionSpace`
        is measured on the latents and in the region.
      settings: None: the recipe's, for the space.
    """

    latents: Any
    handles_yx: ArrayLike
    targets_yx: ArrayLike
    id: str = ""
    mask: ArrayLike | None = None
    region: ArrayLike | None = None
    arrays: Mapping[str, ArrayLike] = dataclasses.field(default_factory=dict)
    space: Space | Unmeasured | None = None
    settings: DragSettings | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """An edit that can run.

    Attributes:
      id: the caller's.
      latents: the family's pytree of float32 NumPy arrays.
      handles_yx, targets_yx: [N, 2] float32, pixels of the image.
      arrays: by name, float32; `mask` [H, W] is 1 where the image must stay.
      space: coordinates to move in.
      settings: resolved, with their method.
      region: bool [H, W], where the image may change: the region, grown, or what a mask leaves; or None. It stays on
        the host and shapes no program; motion supervision reads its complement, `mask` among the arrays, and a
        direction makes arrays of its own of it.
    """

    id: str
    latents: Any
    handles_yx: np.ndarray
    targets_yx: np.ndarray
    arrays: dict[str, np.ndarray]
    space: Space
    settings: DragSettings
    region: np.ndarray | None = None

    @property
    def parts(self) -> tuple[Any, Space, DragSettings, dict[str, np.ndarray]]:
        """What an edit gives its lane, but for its handles: latents, space, settings and arrays."""
        settings = dataclasses.replace(self.settings, metric=None)  # the host has measured it
        return self.latents, self.space, settings, self.arrays

    @property
    def program(self) -> Hashable:
        """What edits must share to run in one program: structures and shapes, not values."""
        leaves, structure = jax.tree.flatten(self.parts)
        # Numbers of one kind are stored in one type, however a caller wrote them.
        return structure, tuple((np.shape(leaf), np.asarray(leaf).dtype.kind) for leaf in leaves)


def make_edit(model: Any, request: EditRequest, recipe: str = DEFAULT_RECIPE) -> Edit:
    """Check an edit for a model.

    Args:
      model: a `networks.Model`; what it leaves to a recipe needs a StyleGAN2.
      request: the edit.
      recipe: what names neither space nor settings takes those of this recipe.

    Raises:
      EditError: a point outside the image, unequal numbers of points, a mask or region of another size or without both
        values, or both of them, latents or settings that do not fit the model.
      SpaceError: a space that does not fit it.
    """
    config = model.config
    space, settings = request.space, request.settings
    if space is None:
        if isinstance(settings, DragSettings) and settings.method is None and recipe == "least-change":
            recipe = "published"  # whose loop these settings are of
        known = recipes.recipe(recipe, model)
        space, settings = known.space, known.settings if settings is None else settings
    if not isinstance(space, Space | Unmeasured):
        raise EditError(f"space is {space!r}; it must be a space such as WPlus(), or None", field="space")
    if not isinstance(settings, DragSettings | None):
        raise EditError(f"settings is {settings!r}; it must be DragSettings(), or None", field="settings")
    space.check(model)
    if settings is None:
        settings = recipes.complete_settings(recipe, config.resolution)
    handles, targets = _points("handles", request.handles_yx, config), _points("targets", request.targets_yx, config)
    if len(handles) != len(targets):
        raise EditError(f"there are {len(handles)} handles and {len(targets)} targets; every handle needs its target")
    arrays = {name: np.asarray(array, np.float32) for name, array in request.arrays.items()}
    if request.mask is not None and request.region is not None:
        raise EditError(
            "give either `mask` or `region`: where the image must stay, or where it may change", field="mask region"
        )
    may_change = None
    if request.mask is not None:
        may_change = _binary("mask", "0 (may change) and 1 (must stay", request.mask, config.resolution) == 0
    if request.region is not None:
        given = _binary("region", "0 (must stay) and 1 (may change", request.region, config.resolution)
        may_change = grown_region(given > 0, np.round(handles), targets)
    if may_change is not None and compares_everywhere(settings):
        arrays["mask"] = (~may_change).astype(np.float32)
    settings = settings.resolved(config, masked="mask" in arrays, region=may_change is not None)
    if settings.method is None:
        settings = dataclasses.replace(settings, method=published_method())
    try:
        latents = model.check_latents(request.latents)
    except DragspaceError as error:
        raise EditError(str(error), field="latents") from error
    if isinstance(space, Unmeasured):
        space = space.measured(model, latents, may_change)
    if settings.keep_within > 0:
        arrays |= prior_arrays(model, space)
    made = settings.method.direction.arrays(
        model=model,
        space=space,
        latents=latents,
        handles_yx=handles,
        targets_yx=targets,
        region=may_change,
        settings=settings,
    )
    arrays = {**made, **arrays}
    return Edit(
        id=request.id,
        latents=latents,
        handles_yx=np.round(handles),
        targets_yx=targets,
        arrays=arrays,
        space=space,
        settings=settings,
        region=may_change,
    )


def compares_everywhere(settings: DragSettings) -> bool:
    """Whether edits with these settings compare the whole map with the start's where a mask says so."""
    return settings.method is None or isinstance(settings.method.objective, MotionSupervision)


def resolved_settings(settings: DragSettings, config: Any, *, region: bool) -> DragSettings:
    """Settings resolved for edits that say what may change, by a region or a mask, or for those that do not."""
    return settings.resolved(config, masked=region and compares_everywhere(settings), region=region)


def published_method() -> Method:
    """Motion supervision by Adam at the learning rate."""
    return Method(objective=MotionSupervision(), direction=Adam(), size=Rate())


def _points(name: str, points_yx: ArrayLike, config: Any) -> Float32[np.ndarray, "N 2"]:
    side = config.resolution
    try:
        points = np.array(points_yx, np.float32)  # a copy: the caller may use its array again
    except (TypeError, ValueError) as error:
        raise EditError(f"{name} are not an array of numbers [N, 2]: {error}", field=name) from error
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise EditError(f"{name} have shape {points.shape}; they must be [N, 2] with at least one point", field=name)
    for y, x in points:
        if not (0 <= y <= side - 1 and 0 <= x <= side - 1):
            raise EditError(f"{name} hold the point x={x:g}, y={y:g}, outside the image (0 to {side - 1})", field=name)
    return points


def _binary(name: str, values: str, array: ArrayLike, side: int) -> Float32[np.ndarray, "H W"]:
    """A mask or region as zeros and ones; `values` says what these mean."""
    try:
        given = np.array(array)
        binary = given.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise EditError(f"the {name} is not an array of numbers [H, W]: {error}", field=name) from error
    if given.dtype == np.uint8 and given.max(initial=0) == 255:
        binary = binary / 255
    if binary.shape != (side, side):
        raise EditError(f"the {name} has shape {binary.shape}; the image is {side} × {side}", field=name)
    if set(np.unique(binary).tolist()) != {0.0, 1.0}:
        raise EditError(f"the {name} must hold both {values}; 255 in bytes), and nothing else", field=name)
    return binary
