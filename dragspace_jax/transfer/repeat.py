"""Does an edit made in one model do the same in the other? Its displacement is mapped, and landmarks are compared."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dragspace_jax.analysis.agreement import Transfer, cosines, transfer
from dragspace_jax.analysis.align import Alignment
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.transfer.edits import DraggedEdits, PlannedEdit
from dragspace_jax.transfer.latents import every_layer
from dragspace_jax.transfer.work import Meter


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepeatedEdits:
    """Edits repeated in the target: ws [n, L, D2] before and after, and the edit's landmark in both, [n, 2]."""

    before: np.ndarray
    after: np.ndarray
    before_yx: np.ndarray
    after_yx: np.ndarray

    @property
    def way(self) -> np.ndarray:
        """[n, 2] px, how far the landmark went."""
        return self.after_yx - self.before_yx


def repeat_edits(
    evaluator: Evaluator,
    model: Generator,
    alignment: Alignment,
    landmarks: list[int],
    w: np.ndarray,
    moved: np.ndarray,
    meter: Meter,
) -> RepeatedEdits:
    """Displacements `moved` [n, layers, D1] of the source, mapped and added to latents w [n, D2] of the target.

    landmarks are indices [n] into LANDMARKS: those that the edits moved in the source.
    """
    before = every_layer(model, w)
    after = before.copy()
    after[:, : moved.shape[1]] += alignment.displacement(moved).astype(np.float32)
    return RepeatedEdits(
        before=before,
        after=after,
        before_yx=evaluator.predict_latents(model, before, meter.images).landmark(landmarks),
        after_yx=evaluator.predict_latents(model, after, meter.images).landmark(landmarks),
    )


def unrelated(plans: list[PlannedEdit], seed: int) -> np.ndarray | None:
    """[n], for every edit one of another landmark and attribute, whose move here is chance; None if there is none."""
    random = np.random.default_rng(seed)
    changes = [(plan.what.landmark, plan.what.attribute) for plan in plans]
    others = [
        [number for number, other in enumerate(changes) if other[0] != change[0] and other[1] != change[1]]
        for change in changes
    ]
    return np.array([random.choice(each) for each in others]) if all(others) else None


def score_transfer(dragged: DraggedEdits, repeated: RepeatedEdits) -> Transfer:
    """The landmarks' moves in the target against those in the source, over the edits that count."""
    kept = dragged.counted
    return transfer(dragged.way[kept], repeated.way[kept])


def edit_rows(dragged: DraggedEdits, repeated: dict[str, RepeatedEdits]) -> list[dict[str, Any]]:
    """One JSON row an edit: what it was, how the drag ended, and its cosine and length by every map."""
    rows = []
    for number, plan in enumerate(dragged.plans):
        landmark, attribute, value = plan.what
        rows.append(
            {
                "landmark": landmark,
                "attribute": attribute,
                "value": value,
                "outcome": dragged.outcomes[number],
                "steps": dragged.steps[number],
                "asked_px": float(np.linalg.norm(plan.target_yx - plan.handle_yx)),
                "moved_px": float(np.linalg.norm(dragged.way[number])),
                "counted": bool(dragged.counted[number]),
                "maps": {},
            }
        )
    for method, each in repeated.items():
        lengths = np.linalg.norm(each.way, axis=1)
        for row, cosine, length in zip(rows, cosines(dragged.way, each.way), lengths, strict=True):
            row["maps"][method] = {"cosine": float(cosine), "moved_px": float(length)}
    return rows
