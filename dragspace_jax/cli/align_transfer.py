"""Does an edit made in one model do the same in the other? Its displacement is mapped, and landmarks are compared."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dragspace_jax.analysis.agreement import Transfer, cosines, transfer
from dragspace_jax.analysis.align import Alignment
from dragspace_jax.cli.align_edits import Dragged, Plan, landmarks_of
from dragspace_jax.cli.align_judge import Judge, every_layer
from dragspace_jax.stylegan2 import Generator


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moved:
    """Edits repeated in the target: ws [n, L, D2] before and after, and the edit's landmark in both, [n, 2]."""

    before: np.ndarray
    after: np.ndarray
    before_yx: np.ndarray
    after_yx: np.ndarray


def repeat_edits(
    judge: Judge, model: Generator, alignment: Alignment, dragged: Dragged, w: np.ndarray, moved: np.ndarray
) -> Moved:
    """Displacements `moved` [n, layers, D1] of the source, mapped and added to latents w [n, D2] of the target."""
    before = every_layer(model, w)
    after = before.copy()
    after[:, : moved.shape[1]] += alignment.displacement(moved).astype(np.float32)
    points = [plan.landmark for plan in dragged.plans]
    return Moved(
        before=before,
        after=after,
        before_yx=landmarks_of(judge, model, before, points),
        after_yx=landmarks_of(judge, model, after, points),
    )


def unrelated(plans: list[Plan], seed: int) -> np.ndarray | None:
    """[n], for every edit one of another landmark and attribute, whose move here is chance; None if there is none."""
    random = np.random.default_rng(seed)
    changes = [(plan.what.landmark, plan.what.attribute) for plan in plans]
    others = [
        [number for number, other in enumerate(changes) if other[0] != change[0] and other[1] != change[1]]
        for change in changes
    ]
    return np.array([random.choice(each) for each in others]) if all(others) else None


def score_transfer(dragged: Dragged, moved: Moved) -> Transfer:
    """The landmarks' moves in the target against those in the source, over the edits that count."""
    kept = dragged.counted
    return transfer((dragged.after_yx - dragged.before_yx)[kept], (moved.after_yx - moved.before_yx)[kept])


def edit_rows(dragged: Dragged, moves: dict[str, Moved]) -> list[dict[str, Any]]:
    """One JSON row an edit: what it was, how the drag ended, and its cosine and length by every map."""
    rows = []
    way = dragged.after_yx - dragged.before_yx
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
                "moved_px": float(np.linalg.norm(way[number])),
                "counted": bool(dragged.counted[number]),
                "maps": {},
            }
        )
    for kind, moved in moves.items():
        theirs = moved.after_yx - moved.before_yx
        for row, cosine, length in zip(rows, cosines(way, theirs), np.linalg.norm(theirs, axis=1), strict=True):
            row["maps"][kind] = {"cosine": float(cosine), "moved_px": float(length)}
    return rows
