"""How to drag: every setting stated once, with its unit, range and help.

The dataclass is the only place that knows a setting. Tables, options of the command line, keys of an edits file and
their checks are made from its fields (`setting_of`). It is a pytree: what shapes the program is static; the numbers
(learning rate, steps, the mask's weight) are arguments, so that changing them compiles nothing again.
"""

from __future__ import annotations

import dataclasses
import math
from numbers import Integral, Real
from typing import Any, Literal

import jax
import numpy as np

from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks.protocol import Config

PUBLISHED_SIDE = 512
"""Radii, paces and tolerances are pixels of an image of this side, as published."""
_LARGEST_INT, _LARGEST_FLOAT = int(np.iinfo(np.int32).max), float(np.finfo(np.float32).max)


class EditError(DragspaceError):
    """An edit that cannot be run; the message names the input and what it should be.

    Attributes:
      field: the setting or argument at fault, if it is one.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What there is to know of a field of `DragSettings`.

    Attributes:
      help: one sentence, without the default.
      key: its name in edits files and, after `--`, on the command line; empty: the field's own.
      unit: of the number, in words; empty: none.
      whole: a whole number.
      above: the number must be greater, if given.
      least: the number must not be smaller, if given.
      below: the number must be smaller, if given.
      choices: the texts it may be, if it is a text.
      default: what an omitted value means, in words, where that depends on the model or the recipe.
    """

    help: str
    key: str = ""
    unit: str = ""
    whole: bool = False
    above: float | None = None
    least: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    default: str = ""

    @property
    def range(self) -> str:
        """The range in words, for messages and tables."""
        if self.choices:
            return " or ".join(self.choices)
        kind = "a whole number" if self.whole else "a finite number"
        bounds = [
            *([] if self.above is None else [f"above {self.above:g}"]),
            *([] if self.least is None else [f"from {self.least:g}"]),
            *([] if self.below is None else [f"below {self.below:g}"]),
        ]
        return " ".join([kind, *bounds])

    def check(self, name: str, value: Any) -> None:
        """Raises EditError if the value of the field `name` is not in its range."""
        if self.choices:
            if value not in self.choices:
                raise EditError(f"{name} is {value!r}; it must be {self.range}", field=name)
            return
        kinds: Any = Integral if self.whole else Real
        inside = (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.below is None or value < self.below)
        )
        if not inside:
            raise EditError(f"{name} is {value!r}; it must be {self.range}", field=name)
        if float(value) > (_LARGEST_INT if self.whole else _LARGEST_FLOAT):
            raise EditError(f"{name} is {value!r}; that is too large a number", field=name)


def _setting(default: Any, help: str, *, static: bool = False, default_is: str = "", **about: Any) -> Any:
    setting = Setting(help=help, default=default_is, **about)
    return dataclasses.field(default=default, metadata={"static": static, "setting": setting})


_PX = f"px of a {PUBLISHED_SIDE} px image"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DragSettings:
    """How to drag. Defaults are the published ones (docs/design.md#the-published-drag-loop).

    Each field's metadata, a `Setting`, says the rest.
    """

    learning_rate: float = _setting(
        1e-3, "Learning rate of Adam, in units of the space's coordinates.", key="lr", above=0.0
    )
    momentum: float = _setting(0.9, "Of Adam: its beta 1.", least=0.0, below=1.0, static=True)
    steps: int = _setting(300, "The most iterations.", whole=True, above=0)
    tolerance: float | None = _setting(
        None,
        "Distance at which a handle has arrived.",
        unit="px of the image",
        above=0.0,
        default_is="2, or 1/256 of the image's side",
    )
    stall: int = _setting(
        0, "End a drag whose handles came no nearer for so many iterations; 0: never.", whole=True, least=0
    )
    feature_block: int | None = _setting(
        None,
        "Resolution of the block whose features are followed.",
        whole=True,
        above=0,
        static=True,
        default_is="128, as published, or the image's side if that is less",
    )
    radius_motion: float = _setting(3.0, "Radius of the motion loss.", unit=_PX, above=0.0, static=True)
    radius_track: float = _setting(
        12.0, "Of the window in which a handle is found again.", unit=_PX, above=0.0, static=True
    )
    mask_weight: float = _setting(20.0, "Weight of the mask's term.", least=0.0)
    metric: Literal["model", "image"] | None = _setting(
        None,
        "What a change of the image costs a least-change drag, per coordinate: the model's mean, measured once a "
        "model, or the image's own, measured for every edit.",
        choices=("model", "image"),
        static=True,
        default_is="model; with a region or mask, image",
    )
    keep_within: float = _setting(
        0.0,
        "The farthest that a drag may go from the mean of W, as a Mahalanobis distance, of which samples of the model "
        "have about 1; a start beyond is pushed no farther; 0: anywhere.",
        unit="standard deviations",
        least=0.0,
    )
    engine: Literal["window", "whole"] | None = _setting(
        None,
        "Features near the handles only, or the whole map, to the same numbers.",
        choices=("window", "whole"),
        static=True,
        default_is="window without a mask, whole with one, which needs it",
    )
    noise: Literal["const", "none"] = _setting(
        "const", "Noise of the synthesis: the network's constants, or none.", choices=("const", "none"), static=True
    )
    dtype: Literal["float32", "bfloat16"] = _setting(
        "float32", "Type of the synthesis; the loop itself is float32.", choices=("float32", "bfloat16"), static=True
    )

    method: Any = None
    """A `Method` of your own; None: motion supervision by Adam at the learning rate."""

    def resolved(self, config: Config, *, masked: bool = False, region: bool = False) -> DragSettings:
        """These settings, checked, with what depends on the network filled in for edits with or without masks, regions.

        Raises:
          EditError: a number out of range, a feature block that the network does not have, or windows for a mask.
        """
        tolerance = stop_distance(config.resolution) if self.tolerance is None else self.tolerance
        block = published_block(config.resolution) if self.feature_block is None else self.feature_block
        engine = ("whole" if masked or not config.has_windows else "window") if self.engine is None else self.engine
        metric = ("image" if region else "model") if self.metric is None else self.metric
        filled = dataclasses.replace(self, tolerance=tolerance, feature_block=block, engine=engine, metric=metric)
        for name, setting in SETTINGS.items():
            setting.check(name, getattr(filled, name))
        if block not in config.block_resolutions:
            blocks = ", ".join(map(str, config.block_resolutions))
            raise EditError(f"feature block {block} is not in the model; it has {blocks}", field="feature_block")
        if engine == "window" and not config.has_windows:
            raise EditError(
                "engine is 'window'; a BigGAN needs 'whole', since its self-attention sees all of the map",
                field="engine",
            )
        if masked and engine == "window":
            raise EditError(
                "engine is 'window'; an edit with a mask needs 'whole', since the mask, which may be a region's "
                "complement, is compared everywhere",
                field="engine",
            )
        for name in ("radius_motion", "radius_track"):
            if getattr(filled, name) > PUBLISHED_SIDE:
                raise EditError(
                    f"{name} is {getattr(filled, name)!r}; a patch larger than the image, {PUBLISHED_SIDE} px, "
                    "is of no use",
                    field=name,
                )
        return filled

    def pixels(self, radius: float, side: int) -> int:
        """A radius in whole pixels of an image of `side`, from 1 to `side` (round half to even, as published)."""
        return min(side, max(1, round(radius / PUBLISHED_SIDE * side)))


SETTINGS: dict[str, Setting] = {
    field.name: field.metadata["setting"] for field in dataclasses.fields(DragSettings) if "setting" in field.metadata
}
"""{field: what there is to know of it}, in the order of the fields."""


def stop_distance(side: int) -> float:
    """A handle this near its target has arrived, in pixels of an image of `side` (docs/design.md, fact 6)."""
    return max(2.0 / PUBLISHED_SIDE * side, 2.0)


def published_block(side: int) -> int:
    """The block whose features the published loop follows: the sixth, 128 px; of smaller networks, the last."""
    return min(128, side)
