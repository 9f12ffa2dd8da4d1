"""How good a finished edit is: figures, thresholds, and a verdict in words.

Reaching the target is what a drag sees to, by whatever change gets it there; the figures say what it cost, and whether
the tracker can be believed. They are measured after the drag, in the same way whatever solver made it (`measure`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dragspace_jax.drag.settings import PUBLISHED_SIDE

Figures = Mapping[str, Float[np.ndarray, " ..."]]
"""{figure: of one edit [] or of n edits [n]}, of several handles the worst one's; nan where there is none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What passes for good, as `scripts/quality_study.py` chose it (docs/least-change.md); it chose no `distance`.

    Attributes:
      residual: of the patch around the final handle, relative.
      back: px of a 512 px image, from a handle's start to where tracking backwards ends.
      distance: Mahalanobis distance, in deviations; counts only beyond the `quantile`, and beyond the start's.
      quantile: of the model's samples.
      change_outside: mean squared difference outside the handles' surroundings.
      change_kept: mean squared difference where the image must stay, by a mask or outside a region.
    """

    residual: float = 1.3
    back: float = 4.2
    distance: float = 1.5
    quantile: float = 0.999
    change_outside: float = 0.024
    change_kept: float = 0.001


THRESHOLDS = Thresholds()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quality:
    """Figures of one edit; what could not be measured is None.

    Attributes:
      reached: whether the drag arrived.
      side: of the image, pixels.
      tolerance_px: at which a handle has arrived.
      left_px: of every handle, from its last tracked place to its target.
      residual: of every handle, squared difference of the features around its last place to those around its start,
        over the spread of the latter.
      back_px: of every handle, from its start to where the features around its last place are found again in the
        start's image, in the tracking window around its start.
      start_distance, distance: Mahalanobis distance of the moving layers of W+ to W, before and after: root mean square
        over layers and components, in deviations. Samples of the model have about 1.
      start_quantile, quantile: the share of 10,000 samples of the model that lie no farther.
      change_outside: mean squared difference of the image (RGB, −1 to 1) to the start's, outside the surroundings of
        the handles that move.
      change_kept: likewise where the edit's mask or region says that the image must stay.
    """

    reached: bool
    side: int
    tolerance_px: float
    left_px: tuple[float, ...]
    residual: tuple[float, ...] = ()
    back_px: tuple[float, ...] = ()
    start_distance: float | None = None
    distance: float | None = None
    start_quantile: float | None = None
    quantile: float | None = None
    change_outside: float | None = None
    change_kept: float | None = None

    def figures(self) -> dict[str, float]:
        """As numbers: handles by the worst one, lengths in px of a 512 px image, nan where there is none."""
        scale = PUBLISHED_SIDE / self.side
        return {
            "left": 0.0 if self.reached else max(self.left_px, default=math.nan) / self.tolerance_px,
            "residual": max(self.residual, default=math.nan),
            "back": max(self.back_px, default=math.nan) * scale,
            **{
                name: math.nan if (value := getattr(self, name)) is None else value
                for name in ("start_distance", "distance", "quantile", "change_outside", "change_kept")
            },
        }

    def failures(self, thresholds: Thresholds = THRESHOLDS) -> tuple[str, ...]:
        """The names of what passes its threshold, of `excess`."""
        ratios = excess(_as_arrays(self.figures()), thresholds)
        return tuple(name for name, ratio in ratios.items() if ratio > 1.0)

    @property
    def flagged(self) -> bool:
        """Whether anything passes its threshold."""
        return bool(self.failures())

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is flagged, in words."""
        left = f"not reached: {max(self.left_px, default=0.0):.1f} px left"
        words = {**_WORDS, "not reached": left}
        return tuple(words[name] for name in self.failures())

    @property
    def verdict(self) -> str:
        """One sentence: whether it arrived, and what is to be said against it."""
        if not self.reached:
            return "; ".join(self.reasons)
        return "reached, but " + " and ".join(self.reasons) if self.reasons else "reached"

    @property
    def brief(self) -> str:
        """The verdict in few words, for captions."""
        arrived = "reached" if self.reached else f"{max(self.left_px, default=0.0):.1f} px left"
        against = [_BRIEF[name] for name in self.failures() if name in _BRIEF]
        return ", ".join([arrived, *against])

    @property
    def severity(self) -> float:
        """By how many times the worst figure passes its threshold; up to 1 nothing does."""
        return float(max(excess(_as_arrays(self.figures()), THRESHOLDS).values()))

    def record(self) -> dict[str, Any]:
        """As results.jsonl holds it, beside the line's outcome and distances."""
        values = {field: _plain(getattr(self, field)) for field in _MEASURED}
        return {
            "verdict": self.verdict,
            "flagged": self.flagged,
            "reasons": list(self.failures()),
            **{field: value for field, value in values.items() if value is not None},
        }

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Quality | None:
        """The quality in a line of results.jsonl, or None: it has none, as lines of earlier versions."""
        kept = line.get("quality")
        if not isinstance(kept, Mapping) or not {"side", "tolerance_px"} <= kept.keys():
            return None
        values = {field: kept.get(field) for field in _MEASURED}
        for field in ("residual", "back_px"):
            values[field] = tuple(math.inf if value is None else value for value in values[field] or ())
        left = tuple(math.inf if value is None else value for value in line["distances_px"])
        return cls(reached=line["outcome"] == "reached", left_px=left, **values)  # type: ignore[arg-type]


_MEASURED = tuple(
    field.name for field in dataclasses.fields(Quality) if field.name not in ("reached", "left_px")
)  # the rest stands in a result's line already
_WORDS = {
    "tracker": "the tracker lost a handle",
    "far": "far from anything the model was trained on",
    "background": "the background moved",
    "kept": "what had to stay moved",
}
_BRIEF = {"tracker": "lost", "far": "far off", "background": "background", "kept": "kept part"}


def excess(figures: Figures, thresholds: Thresholds) -> dict[str, Float[np.ndarray, " ..."]]:
    """How many times each test's threshold the figures come to: above 1 it is passed; 0 where there is no figure.

    Args:
      figures: of one edit or of n, as `figures` and `stacked` give them.
      thresholds: to judge by.
    """
    distance, quantile = figures["distance"], figures["quantile"]
    left_samples = (quantile >= thresholds.quantile) & (distance > figures["start_distance"])
    ratios = {
        "not reached": np.where(figures["left"] > 0, np.maximum(figures["left"], 1.0 + 1e-6), 0.0),
        "tracker": np.fmax(figures["residual"] / thresholds.residual, figures["back"] / thresholds.back),
        "far": np.where(left_samples, distance / thresholds.distance, 0.0),
        "background": figures["change_outside"] / thresholds.change_outside,
        "kept": figures["change_kept"] / thresholds.change_kept,
    }
    return {name: np.where(np.isnan(ratio), 0.0, ratio) for name, ratio in ratios.items()}


def flagged(figures: Figures, thresholds: Thresholds) -> Bool[np.ndarray, " ..."]:
    """Which edits pass any threshold."""
    return np.max(np.stack(list(excess(figures, thresholds).values())), 0) > 1.0


def stacked(qualities: Iterable[Quality]) -> dict[str, Float[np.ndarray, " n"]]:
    """The figures of n edits as arrays."""
    listed = [quality.figures() for quality in qualities]
    return {name: np.array([figures[name] for figures in listed]) for name in listed[0]}


def _as_arrays(figures: Mapping[str, float]) -> Figures:
    return {name: np.asarray(value) for name, value in figures.items()}


def _plain(value: Any) -> Any:
    """Rounded to what matters; JSON has no number for what is not finite."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value
