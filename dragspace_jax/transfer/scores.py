"""Scores of alignments on held-out pairs, as scores.json holds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from dragspace_jax.analysis.agreement import coarse_and_fine, correlations, variance_explained
from dragspace_jax.analysis.align import Alignment, PCABasis
from dragspace_jax.critters.evaluator import Evaluator, Predictions
from dragspace_jax.spaces import LayerSpace
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.transfer.edits import DraggedEdits, drag_plans, plan_edits
from dragspace_jax.transfer.latents import every_layer
from dragspace_jax.transfer.models import Models
from dragspace_jax.transfer.pairs import Pairs
from dragspace_jax.transfer.repeat import RepeatedEdits, edit_rows, repeat_edits, score_transfer, unrelated
from dragspace_jax.transfer.work import Meter

Scores = dict[str, dict[str, Any]]  # by map


def space_scores(alignments: Mapping[str, Alignment], pairs: Pairs) -> Scores:
    """Variance that each map explains of the held-out target, and the canonical correlations it keeps.

    `total` and `mean` are of the target's coordinates; `of_w` is of all of W, with what the components leave out, so it
    may be compared between numbers of components.
    """
    scores: Scores = {}
    for method, alignment in alignments.items():
        wanted = alignment.target.coordinates(pairs.held_target)
        shares = variance_explained(alignment.coordinates(pairs.held_source), wanted)
        of_w = variance_explained(alignment.apply(pairs.held_source), pairs.held_target.astype(np.float64)).total
        scores[method] = {"variance_explained": {**shares._asdict(), "of_w": of_w}}
        if len(alignment.correlations):
            scores[method]["canonical_correlations"] = alignment.correlations.tolist()
    return scores


def captured(basis: PCABasis, w: np.ndarray) -> float:
    """Share of the variance of w [m, D] that lies in the basis's components."""
    return float(basis.coordinates(w).var(0).sum() / np.asarray(w, np.float64).var(0).sum())


def agreement(evaluator: Evaluator, source: Predictions, target: Predictions) -> dict[str, Any]:
    """Correlation of each attribute between two sets of images, row by row, and its means over coarse and fine ones."""
    shares = correlations(evaluator.reliable_attributes(source), evaluator.reliable_attributes(target))
    named = {name: float(share) for name, share in zip(evaluator.reliable, shares, strict=True)}
    coarse, fine = coarse_and_fine(named)
    return {"coarse": coarse, "fine": fine, "attributes": named}


def attribute_scores(
    evaluator: Evaluator, models: Models, alignments: Mapping[str, Alignment], pairs: Pairs, meter: Meter
) -> tuple[Predictions, dict[str, Any], Scores]:
    """Predictions of the held-out source, the agreement of the pairs themselves, and that of each map's images.

    The pairs' own agreement is what a perfect map would reach, the predictor's errors included.
    """

    def predictions(model: Generator, w: np.ndarray) -> Predictions:
        return evaluator.predict_latents(model, every_layer(model, w), meter.images)

    source, target = models.source.network, models.target.network
    held = predictions(source, pairs.held_source)
    partners = agreement(evaluator, held, predictions(target, pairs.held_target))
    scores: Scores = {
        method: {"agreement": agreement(evaluator, held, predictions(target, alignment.apply(pairs.held_source)))}
        for method, alignment in alignments.items()
    }
    return held, partners, scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoredEdits:
    """Edits carried across, with their scores.

    Attributes:
      dragged: the edits in the source.
      repeated: what each map made of them on its aligned images.
      scores: by map.
      rows: one an edit, for scores.json.
      captured: share of the displacements' square that lies in the source's components; the maps drop the rest, except
        the identity.
    """

    dragged: DraggedEdits
    repeated: dict[str, RepeatedEdits]
    scores: Scores
    rows: list[dict[str, Any]]
    captured: float


def edit_scores(
    evaluator: Evaluator,
    models: Models,
    alignments: Mapping[str, Alignment],
    pairs: Pairs,
    predictions: Predictions,
    *,
    edits: int,
    space: LayerSpace,
    seed: int,
    meter: Meter,
) -> ScoredEdits | None:
    """Drag the source once, repeat the edits by every map; None if no held-out image allows one.

    Three scores a map: on the aligned image (`aligned`), on the partner of the pair (`partner`), and on the aligned
    image with the displacement of an edit of another landmark and attribute (`unrelated`), which is chance.

    Args:
      evaluator: of both models.
      models: the models; the source's species is known.
      alignments: by method.
      pairs: whose held-out source is dragged.
      predictions: of its images.
      edits: the most.
      space: in which they move.
      seed: of the choice of unrelated edits.
      meter: is told of every drag and image.
    """
    source, target = models.source, models.target.network
    assert source.species is not None  # there is no evaluator otherwise
    plans = plan_edits(evaluator, source.species, predictions, edits)
    if not plans:
        return None
    dragged = drag_plans(evaluator, source.network, pairs.held_source, plans, space, meter)
    partners = pairs.held_target[[plan.row for plan in plans]]
    other = unrelated(plans, seed)
    repeated: dict[str, RepeatedEdits] = {}
    scores: Scores = {}
    for method, alignment in alignments.items():

        def repeat(w: np.ndarray, moved: np.ndarray, alignment: Alignment = alignment) -> RepeatedEdits:
            return repeat_edits(evaluator, target, alignment, dragged.landmarks, w, moved, meter)

        aligned = alignment.apply(dragged.start)
        repeated[method] = repeat(aligned, dragged.moved)
        runs = {
            "aligned": repeated[method],
            "partner": repeat(partners, dragged.moved),
            "unrelated": None if other is None else repeat(aligned, dragged.moved[other]),
        }
        scores[method] = {"transfer": {name: _transfer(dragged, run) for name, run in runs.items()}}
    expressed = np.square(dragged.moved @ next(iter(alignments.values())).source.components.T).sum()
    return ScoredEdits(
        dragged=dragged,
        repeated=repeated,
        scores=scores,
        rows=edit_rows(dragged, repeated),
        captured=float(expressed / max(np.square(dragged.moved).sum(), np.finfo(np.float32).tiny)),
    )


def _transfer(dragged: DraggedEdits, repeated: RepeatedEdits | None) -> dict[str, Any] | None:
    if repeated is None or not dragged.counted.any():
        return None
    return score_transfer(dragged, repeated)._asdict()
