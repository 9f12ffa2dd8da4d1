"""Align two models: fit maps between their latents on pairs, and evaluate them on others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from dragspace_jax.analysis.align import METHODS, Alignment, Method, check_fit, check_widths, fit_alignment
from dragspace_jax.analysis.maps import check_number
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.results import versions
from dragspace_jax.spaces import PCA, LayerSpace, WPlus, default_layers
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.transfer.alignments import Alignments
from dragspace_jax.transfer.errors import TransferError
from dragspace_jax.transfer.models import BasisChoice, Model, Models, coordinates_of
from dragspace_jax.transfer.pairs import DEFAULT_SAMPLES, PAIRINGS, Pairing, Pairs, check_pairing, make_pairs
from dragspace_jax.transfer.scores import (
    ScoredEdits,
    attribute_scores,
    captured,
    edit_scores,
    space_scores,
)
from dragspace_jax.transfer.sheet import ROWS, component_sheet, edit_sheet
from dragspace_jax.transfer.work import Meter, OnProgress, Work

MapChoice = Literal["identity", "procrustes", "affine", "cca", "all"]
EditSpace = Literal["w+", "pca"]
HELD_OUT, EDITS = 2000, 24
_RUNS = 3  # of a map's edits: on aligned images, on partners, and unrelated ones


def align(
    source: str | Path | Generator,
    target: str | Path | Generator,
    *,
    maps: MapChoice = "all",
    pairs: Pairing = "z",
    samples: int | None = None,
    held_out: int = HELD_OUT,
    components: int | None = None,
    source_basis: str | Path | None = None,
    target_basis: str | Path | None = None,
    edits: int = EDITS,
    space: EditSpace = "w+",
    label: int | None = None,
    seed: int = 0,
    on_start: Callable[[Work], None] | None = None,
    on_progress: OnProgress | None = None,
) -> Alignments:
    """Map the latents of one model to those of another, and evaluate the maps on held-out pairs.

    Attributes and edits are evaluated where both models draw critters at 128 px, as their cards say; for others there
    are the variance explained and a sheet of moves along the first component. With the defaults this takes minutes on
    a CPU, most of them to render and evaluate images.

    Args:
      source: the model where edits are made: a folder, an embedded name, or a generator (without a card).
      target: the model that they are carried to.
      maps: a method of `analysis.align`, or `all` that the models allow.
      pairs: latents of one z, or samples matched by their predicted attributes.
      samples: pairs to fit on; None: 20,000 of z, 4,000 of attributes.
      held_out: further pairs, to evaluate by.
      components: PCA coordinates of each model; None: up to 64.
      source_basis, target_basis: files of PCA that `save_space` wrote; None: fitted.
      edits: drags to carry across.
      space: what they move in; the PCA is the source's.
      label: class, for models with classes.
      seed: of all samples.
      on_start: called with what there is to do, when all is checked and before it starts.
      on_progress: see `OnProgress`.

    Raises:
      TransferError, SpaceError, AlignmentError, ModelError: models, bases and pairs that do not fit, or are not there.
    """
    models = Models(source=Model.open(source), target=Model.open(target))
    first, second = models.source.network, models.target.network
    _check_options(maps=maps, pairs=pairs, space=space, edits=edits, seed=seed)
    labels = models.labels(label)
    species = [each for each in (models.source.species, models.target.species) if each is not None]
    evaluator = Evaluator.load(*species) if len(species) == 2 else None
    count = DEFAULT_SAMPLES[pairs] if samples is None else samples
    check_pairing(pairs, first, second, evaluator, samples=count, held_out=held_out)
    choices = (
        BasisChoice.check(first, source_basis, components),
        BasisChoice.check(second, target_basis, components),
    )
    methods = _methods(maps, models, count, choices)
    work = _work(len(methods), pairs, evaluator, samples=count, held_out=held_out, edits=edits)
    if on_start is not None:
        on_start(work)

    meter = Meter(work, on_progress)
    meter.stage("fitting bases")
    basis, other = (choice.fit(each, seed) for choice, each in zip(choices, labels, strict=True))
    ours, theirs = coordinates_of(basis), coordinates_of(other)
    for method in methods:
        check_fit(method, ours, theirs, count)
    meter.stage("drawing pairs")
    drawn = make_pairs(
        pairs, first, second, labels, evaluator,
        samples=count, held_out=held_out, seed=seed + 1, on_images=meter.images,
    )  # fmt: skip
    meter.stage("fitting maps")
    alignments: dict[str, Alignment] = {
        each: fit_alignment(each, ours, theirs, drawn.source, drawn.target) for each in methods
    }
    scores = space_scores(alignments, drawn)
    partners, carried = None, None
    if evaluator is not None:
        meter.stage("evaluating images")
        predictions, partners, attributes = attribute_scores(evaluator, models, alignments, drawn, meter)
        scores = {each: scores[each] | attributes[each] for each in scores}
        if edits:
            meter.stage("dragging")
            carried = edit_scores(
                evaluator, models, alignments, drawn, predictions,
                edits=edits, space=_edit_space(space, models, basis), seed=seed, meter=meter,
            )  # fmt: skip
    if carried is not None:
        scores = {each: scores[each] | carried.scores[each] for each in scores}
    meter.stage("drawing the sheet")
    sheet = _sheet(models, alignments, drawn, carried)
    meter.finish()
    record = {
        "from": models.source.name,
        "to": models.target.name,
        "pairs": {"by": pairs, "samples": count, "held_out": held_out, "distance": drawn.distance},
        "components": [len(each.components) for each in (ours, theirs)],
        "captured": [captured(ours, drawn.held_source), captured(theirs, drawn.held_target)],
        "space": space,
        "captured_of_edits": None if carried is None else carried.captured,
        "seed": seed,
        "evaluated": evaluator is not None,
        "unreliable_attributes": [] if evaluator is None else evaluator.unreliable,
        "pairs_agreement": partners,
        "maps": scores,
        "edits": None if carried is None else carried.rows,
        "versions": versions(),
    }
    return Alignments(maps=alignments, scores=record, sheet=sheet)


def _check_options(*, maps: str, pairs: str, space: str, edits: int, seed: int) -> None:
    """Raises TransferError for what is none of the choices, or out of range."""
    known = {"maps": (maps, get_args(MapChoice)), "pairs": (pairs, PAIRINGS), "space": (space, get_args(EditSpace))}
    for name, (value, choices) in known.items():
        if value not in choices:
            raise TransferError(f"{name} is {value!r}; it must be {' or '.join(choices)}", field=name)
    if edits < 0:
        raise TransferError(f"edits is {edits}; it must not be negative", field="edits")
    if not 0 <= seed < 2**31 - 2:  # the pairs take the next one, or two
        raise TransferError(f"seed is {seed}; it must be from 0 to {2**31 - 3}", field="seed")


def _methods(maps: MapChoice, models: Models, samples: int, choices: tuple[BasisChoice, BasisChoice]) -> list[Method]:
    """The maps to fit; of `all`, the identity is left out where the two W differ in width. Raises AlignmentError."""
    widths = [model.network.config.w_dim for model in models]
    possible: list[Method] = [each for each in METHODS if each != "identity" or widths[0] == widths[1]]
    chosen: list[Method] = possible if maps == "all" else [maps]
    if "identity" in chosen:
        check_widths(*widths)
    if any(each != "identity" for each in chosen):
        for known in (choice.known_count for choice in choices):
            if known is not None:
                check_number(samples, known)
    return chosen


def _work(maps: int, pairs: Pairing, evaluator: Evaluator | None, *, samples: int, held_out: int, edits: int) -> Work:
    drawn = samples + held_out
    if evaluator is None:
        return Work(pairs=drawn, images=2 * (1 + maps) * min(ROWS, held_out), drags=0)
    images = (2 * drawn if pairs == "attributes" else 0) + (2 + maps) * held_out
    images += 2 * edits * (1 + maps * _RUNS) + 2 * (1 + maps) * min(ROWS, edits or held_out)
    return Work(pairs=drawn, images=images, drags=edits)


def _edit_space(space: EditSpace, models: Models, basis: PCA) -> LayerSpace:
    layers = _layers(models)
    return WPlus(layers=layers) if space == "w+" else dataclasses.replace(basis, layers=layers)


def _layers(models: Models) -> int:
    """The layers that edits move: as many as are usual in both."""
    return min(default_layers(model.network.config.num_ws) for model in models)


def _sheet(
    models: Models, alignments: Mapping[str, Alignment], pairs: Pairs, carried: ScoredEdits | None
) -> np.ndarray:
    source, target = models.source.network, models.target.network
    if carried is not None:
        return edit_sheet(source, target, carried.dragged, carried.repeated)
    return component_sheet(source, target, alignments, pairs.held_source, _layers(models))
