"""Edits of the source model that are to be repeated in the target: which, and their drags.

Every edit takes a landmark of a held-out image and, as target, the place where the renderer has the same landmark after
one attribute has changed; so every target can be reached.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import jax.numpy as jnp
import numpy as np

from dragspace_jax.critters import LANDMARKS
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.changes import CHANGES, Change, landmark_places
from dragspace_jax.critters.evaluator import Evaluator, Predictions
from dragspace_jax.critters.predictor import SIDE
from dragspace_jax.drag import DragSettings, EditRequest, drag_many
from dragspace_jax.spaces import LayerSpace
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.transfer.latents import every_layer
from dragspace_jax.transfer.work import Meter

SHORTEST = 6.0  # px; a shorter way ends in the drag's own tolerance of 2 px
MOVED = 2.0  # px; where the source's landmark went less, its direction is the predictor's noise
# The rate of the DragGAN paper; of these models' blocks this one brings landmarks nearest to their targets.
SETTINGS = DragSettings(learning_rate=2e-3, steps=200, feature_block=64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedEdit:
    """One edit: which held-out row, which of `CHANGES`, and the way of its landmark, [2] (y, x) px."""

    row: int
    change: int
    handle_yx: np.ndarray
    target_yx: np.ndarray

    @property
    def landmark(self) -> int:
        """Index into LANDMARKS."""
        return LANDMARKS.index(self.what.landmark)

    @property
    def what(self) -> Change:
        """What changes."""
        return CHANGES[self.change]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DraggedEdits:
    """Edits that were dragged in the source.

    Attributes:
      plans: n edits.
      outcomes, steps: of the drags.
      start: [n, D1], latents before.
      moved: [n, layers, D1], displacement of the moving layers.
      before_yx, after_yx: [n, 2], the edit's landmark as predicted.
    """

    plans: list[PlannedEdit]
    outcomes: list[str]
    steps: list[int]
    start: np.ndarray
    moved: np.ndarray
    before_yx: np.ndarray
    after_yx: np.ndarray

    @property
    def landmarks(self) -> list[int]:
        """[n] indices into LANDMARKS."""
        return [plan.landmark for plan in self.plans]

    @property
    def way(self) -> np.ndarray:
        """[n, 2] px, how far the landmark went."""
        return self.after_yx - self.before_yx

    @property
    def counted(self) -> np.ndarray:
        """[n] bool, edits whose landmark went far enough to have a direction."""
        return np.linalg.norm(self.way, axis=1) >= MOVED


def plan_edits(evaluator: Evaluator, species: str, predictions: Predictions, count: int) -> list[PlannedEdit]:
    """Up to `count` edits of the source's images, of which predictions are given, each on an image of its own.

    They take turns of those `CHANGES` whose attribute is reliable, since it must be known what the change starts from.
    Images whose landmark would go less than `SHORTEST` or out of the picture are passed over.
    """
    place = partial(landmark_places, species, side=SIDE)
    start = np.asarray(place(jnp.asarray(predictions.attributes)))
    free, plans = list(range(len(predictions.attributes))), []
    ends: dict[int, np.ndarray] = {}
    usable = [change for change, (_, attribute, _) in enumerate(CHANGES) if attribute in evaluator.reliable]
    for number in range(count if usable else 0):
        change = usable[number % len(usable)]
        landmark, attribute, value = CHANGES[change]
        point = LANDMARKS.index(landmark)
        if change not in ends:
            wanted = predictions.attributes.copy()
            wanted[:, NAMES.index(attribute)] = value
            ends[change] = np.asarray(place(jnp.asarray(wanted)))
        way = ends[change][:, point] - start[:, point]
        for row in free:
            handle = np.round(predictions.landmarks_yx[row, point])
            target = handle + way[row]
            inside = (np.stack([handle, target]) >= 0).all() and (np.stack([handle, target]) <= SIDE - 1).all()
            if inside and np.linalg.norm(way[row]) >= SHORTEST:
                plans.append(PlannedEdit(row=row, change=change, handle_yx=handle, target_yx=target))
                free.remove(row)
                break
    return plans


def drag_plans(
    evaluator: Evaluator,
    model: Generator,
    w: np.ndarray,
    plans: list[PlannedEdit],
    space: LayerSpace,
    meter: Meter,
) -> DraggedEdits:
    """Drag the edits of the held-out latents w [m, D1] in a space; the meter is told of every drag."""
    start = np.stack([w[plan.row] for plan in plans])
    ws = every_layer(model, start)
    requests = (
        EditRequest(
            id=str(number),
            latents=ws[number],
            handles_yx=plan.handle_yx[None],
            targets_yx=plan.target_yx[None],
            space=space,
            settings=SETTINGS,
        )
        for number, plan in enumerate(plans)
    )
    results = {}
    for result in drag_many(model, requests):
        results[int(result.id)] = result
        meter.drags(1)
    ended = np.stack([results[number].ws for number in range(len(plans))])
    points = [plan.landmark for plan in plans]
    before, after = (
        evaluator.predict_latents(model, latents, meter.images).landmark(points) for latents in (ws, ended)
    )
    return DraggedEdits(
        plans=plans,
        outcomes=[results[number].outcome.label for number in range(len(plans))],
        steps=[results[number].steps for number in range(len(plans))],
        start=start,
        moved=(ended - ws)[:, : space.layers],
        before_yx=before,
        after_yx=after,
    )
