"""Scores of alignments on held-out pairs, as scores.json and the table hold them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from dragspace_jax.analysis.agreement import variance_explained
from dragspace_jax.analysis.align import Alignment, Chart
from dragspace_jax.cli.align_edits import Dragged, drag_plans, plan_edits
from dragspace_jax.cli.align_judge import Judge, Seen, agreement
from dragspace_jax.cli.align_pairs import Pairs
from dragspace_jax.cli.align_transfer import Moved, edit_rows, repeat_edits, score_transfer, unrelated
from dragspace_jax.critters.predictor import SIDE
from dragspace_jax.spaces import Space
from dragspace_jax.stylegan2 import Generator

Scores = dict[str, dict[str, Any]]  # by map


@dataclasses.dataclass(frozen=True, kw_only=True)
class Models:
    """The two models."""

    source: Generator
    target: Generator


def space_scores(alignments: Mapping[str, Alignment], pairs: Pairs) -> Scores:
    """Variance that each map explains of the held-out target, and the canonical correlations it keeps.

    `total` and `mean` are of the target's coordinates; `of_w` is of all of W, with what the components leave out, so it
    may be compared between numbers of components.
    """
    scores: Scores = {}
    for kind, alignment in alignments.items():
        wanted = alignment.target.coordinates(pairs.held_target)
        shares = variance_explained(alignment.coordinates(pairs.held_source), wanted)
        of_w = variance_explained(alignment.apply(pairs.held_source), pairs.held_target.astype(np.float64)).total
        scores[kind] = {"variance_explained": {**shares._asdict(), "of_w": of_w}}
        if len(alignment.correlations):
            scores[kind]["canonical_correlations"] = alignment.correlations.tolist()
    return scores


def captured(chart: Chart, w: np.ndarray) -> float:
    """Share of the variance of w [m, D] that lies in the chart's components."""
    return float(chart.coordinates(w).var(0).sum() / np.asarray(w, np.float64).var(0).sum())


def attribute_scores(
    judge: Judge, models: Models, alignments: Mapping[str, Alignment], pairs: Pairs, on_progress: Callable[[], None]
) -> tuple[Seen, dict[str, Any], Scores]:
    """What is seen of the held-out source, the agreement of the pairs themselves, and that of each map's images.

    The pairs' own agreement is what a perfect map would reach, the predictor's errors included.
    """
    seen = judge.see(models.source, pairs.held_source)
    on_progress()
    partners = agreement(judge, seen, judge.see(models.target, pairs.held_target))
    on_progress()
    scores: Scores = {}
    for kind, alignment in alignments.items():
        aligned = judge.see(models.target, alignment.apply(pairs.held_source))
        scores[kind] = {"agreement": agreement(judge, seen, aligned)}
        on_progress()
    return seen, partners, scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transferred:
    """Edits carried across.

    Attributes:
      dragged: the edits in the source.
      moves: what each map made of them on its aligned images.
      scores: by map.
      rows: one an edit, for scores.json.
      captured: share of the displacements' square that lies in the source's components; the maps drop the rest, except
        the identity.
    """

    dragged: Dragged
    moves: dict[str, Moved]
    scores: Scores
    rows: list[dict[str, Any]]
    captured: float


def transfer_scores(
    judge: Judge,
    models: Models,
    alignments: Mapping[str, Alignment],
    pairs: Pairs,
    seen: Seen,
    *,
    edits: int,
    space: Space,
    seed: int,
    on_progress: Callable[[int], None],
) -> Transferred | None:
    """Drag the source once, repeat the edits by every map; None if no held-out image allows one.

    Three scores a map: on the aligned image (`aligned`), on the partner of the pair (`partner`), and on the aligned
    image with the displacement of an edit of another landmark and attribute (`unrelated`), which is chance.
    """
    plans = plan_edits(judge, seen, edits, SIDE)
    if not plans:
        return None
    dragged = drag_plans(judge, models.source, pairs.held_source, plans, space, on_progress)
    partners = pairs.held_target[[plan.row for plan in plans]]
    other = unrelated(plans, seed)
    moves, scores = {}, {}
    for kind, alignment in alignments.items():

        def repeated(w: np.ndarray, moved: np.ndarray, alignment: Alignment = alignment) -> Moved:
            return repeat_edits(judge, models.target, alignment, dragged, w, moved)

        aligned = alignment.apply(dragged.start)
        moves[kind] = repeated(aligned, dragged.moved)
        runs = {
            "aligned": moves[kind],
            "partner": repeated(partners, dragged.moved),
            "unrelated": None if other is None else repeated(aligned, dragged.moved[other]),
        }
        scores[kind] = {"transfer": {name: _transfer(dragged, run) for name, run in runs.items()}}
    expressed = np.square(dragged.moved @ next(iter(alignments.values())).source.components.T).sum()
    return Transferred(
        dragged=dragged,
        moves=moves,
        scores=scores,
        rows=edit_rows(dragged, moves),
        captured=float(expressed / max(np.square(dragged.moved).sum(), np.finfo(np.float32).tiny)),
    )


def _transfer(dragged: Dragged, moved: Moved | None) -> dict[str, Any] | None:
    return None if moved is None or not dragged.counted.any() else score_transfer(dragged, moved)._asdict()


def tables(record: Mapping[str, Any]) -> list[Table]:
    """A row a map: scores on held-out pairs, and of the edits if there are any."""
    heads = [
        "variance explained",
        "mean of coordinates",
        "of all of W",
        *(["coarse", "fine"] if record["judged"] else []),
    ]
    held = _table("held-out pairs", heads)
    for kind, scores in record["maps"].items():
        shares = (f"{share:.3f}" for share in scores["variance_explained"].values())
        held.add_row(kind, *shares, *_coarse_and_fine(scores.get("agreement")))
    if record["judged"]:
        held.add_row("(pairs)", "", "", "", *_coarse_and_fine(record["pairs_agreement"]))
    if record["edits"] is None:
        return [held]
    counted = sum(row["counted"] for row in record["edits"])
    heads = ["cosine", "length ratio", "same way", "cosine, partner", "cosine, unrelated"]
    carried = _table(f"edits carried across: {counted}", heads)
    for kind, scores in record["maps"].items():
        runs = scores["transfer"]
        cosines = ("–" if runs[name] is None else f"{runs[name]['cosine']:.2f}" for name in ("partner", "unrelated"))
        carried.add_row(kind, *_transfer_cells(runs["aligned"]), *cosines)
    return [held, carried]


def _table(title: str, heads: list[str]) -> Table:
    shown = Table("map", title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for head in heads:
        shown.add_column(head, justify="right")
    return shown


def _coarse_and_fine(agreement: Mapping[str, Any] | None) -> list[str]:
    if agreement is None:
        return []
    return ["–" if agreement[name] is None else f"{agreement[name]:.2f}" for name in ("coarse", "fine")]


def _transfer_cells(score: Mapping[str, Any] | None) -> list[str]:
    if score is None:
        return ["–"] * 3
    return [f"{score['cosine']:.2f}", f"{score['length']:.2f}", f"{100 * score['same_way']:.0f} %"]
