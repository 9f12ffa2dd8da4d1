"""`dragspace align`: maps between the latent spaces of two models, their scores, and edits carried across."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import jax.numpy as jnp
import numpy as np
from PIL import Image
from rich.console import Console

from dragspace_jax.analysis.align import KINDS, Alignment, Chart, MapKind, check_fit, fit_alignment
from dragspace_jax.checkpoint import load, read_card
from dragspace_jax.cli.align_judge import make_judge
from dragspace_jax.cli.align_pairs import DEFAULT_SAMPLES, PairKind, check_pair_kind, make_pairs
from dragspace_jax.cli.align_scores import (
    Models,
    Transferred,
    attribute_scores,
    captured,
    space_scores,
    tables,
    transfer_scores,
)
from dragspace_jax.cli.align_sheet import component_sheet, edit_sheet
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.errors import UserError
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.folders import make_folder
from dragspace_jax.inputs import label_vector
from dragspace_jax.results import versions
from dragspace_jax.spaces import PCA, WPlus, default_layers, fit_pca, load_space
from dragspace_jax.stylegan2 import Generator

DEFAULT_COMPONENTS = 64


@click.command(
    epilog="\b\nExamples:\n"
    "  dragspace align --from critters-dog --to critters-cat --map all --out out/align\n"
    "  dragspace align --from models/a --to models/b --map affine --components 128 --out out/ab"
)
@click.option("--from", "source", required=True, help="The model where edits are made: a folder or an embedded name.")
@click.option("--to", "target", required=True, help="The model that they are carried to.")
@click.option("--map", "kind", type=click.Choice([*KINDS, "all"]), default="all", show_default=True)
@click.option(
    "--pairs",
    "pair_kind",
    type=click.Choice(["z", "attributes"]),
    default="z",
    show_default=True,
    help="Pair latents of one z, or samples matched by what the predictor sees (critters only).",
)
@click.option("--samples", type=click.IntRange(2), help="Pairs to fit on [default: 20000 of z, 4000 of attributes].")
@click.option("--held-out", type=click.IntRange(2), default=2000, show_default=True, help="Further pairs, to judge by.")
@click.option("--components", type=click.IntRange(1), help="PCA coordinates of each model [default: up to 64].")
@click.option("--basis-from", type=click.Path(path_type=Path), help="PCA of the first model, by `dragspace fit-pca`.")
@click.option("--basis-to", type=click.Path(path_type=Path), help="PCA of the second model.")
@click.option("--edits", type=click.IntRange(0), default=24, show_default=True, help="Drags to carry across.")
@click.option("--space", type=click.Choice(["w+", "pca"]), default="w+", show_default=True, help="What they move in.")
@click.option("--label", type=int, help="Class, for models with classes.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 3), default=0, show_default=True, help="Of all samples.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
def align(
    source: str,
    target: str,
    kind: str,
    pair_kind: PairKind,
    samples: int | None,
    held_out: int,
    components: int | None,
    basis_from: Path | None,
    basis_to: Path | None,
    edits: int,
    space: str,
    label: int | None,
    seed: int,
    out: Path,
) -> None:
    """Map the latents of one model to those of another, and judge the maps on held-out pairs.

    Writes a map as MAP.npz for each of identity (models that share an ancestor), procrustes (orthogonal, with a scale),
    affine (least squares) and cca (canonical variates), scores.json, and sheet.png: edits of the first model, and the
    aligned images of the second before and after the same edit. Attributes and edits are judged where both models draw
    critters at 128 px; for others the sheet shows a move along the first component.
    """
    models = Models(source=load(source), target=load(target))
    labels = _labels(models, label)
    judge = make_judge(read_card(source), read_card(target))
    count = DEFAULT_SAMPLES[pair_kind] if samples is None else samples
    check_pair_kind(pair_kind, models.source, models.target, (count, held_out), judge)
    make_folder(out)
    bases = (
        _basis(models.source, basis_from, components, labels[0], seed),
        _basis(models.target, basis_to, components, labels[1], seed),
    )
    charts = _chart(bases[0]), _chart(bases[1])
    chosen = _chosen(kind, charts)
    for each in chosen:
        check_fit(each, *charts, count)

    with progress() as bar:
        task = bar.add_task("drawing pairs", total=None)
        pairs = make_pairs(
            pair_kind, models.source, models.target, labels,
            samples=count, held_out=held_out, seed=seed + 1, judge=judge,
        )  # fmt: skip
        alignments = {each: fit_alignment(each, *charts, pairs.source, pairs.target) for each in chosen}
        scores = space_scores(alignments, pairs)
        partners, transferred = None, None
        if judge is not None:
            bar.update(task, description="looking at images", total=len(alignments) + 2)
            seen, partners, attributes = attribute_scores(judge, models, alignments, pairs, lambda: bar.advance(task))
            scores = {each: scores[each] | attributes[each] for each in scores}
            if edits:
                layers = min(default_layers(model.config.num_ws) for model in (models.source, models.target))
                moving = WPlus(layers=layers) if space == "w+" else dataclasses.replace(bases[0], layers=layers)
                bar.update(task, description="dragging", total=edits, completed=0)
                transferred = transfer_scores(
                    judge, models, alignments, pairs, seen,
                    edits=edits, space=moving, seed=seed, on_progress=lambda done: bar.update(task, completed=done),
                )  # fmt: skip
        if transferred is not None:
            scores = {each: scores[each] | transferred.scores[each] for each in scores}
        bar.update(task, description="drawing the sheet", total=None)
        sheet = _sheet(models, alignments, pairs.held_source, transferred)
    record = {
        "from": source,
        "to": target,
        "pairs": {"kind": pair_kind, "samples": count, "held_out": held_out, "distance": pairs.distance},
        "components": [len(chart.components) for chart in charts],
        "captured": [captured(charts[0], pairs.held_source), captured(charts[1], pairs.held_target)],
        "space": space,
        "captured_of_edits": None if transferred is None else transferred.captured,
        "seed": seed,
        "judged": judge is not None,
        "not_readable": [] if judge is None else [name for name in NAMES if name not in judge.readable],
        "pairs_agreement": partners,
        "maps": scores,
        "edits": None if transferred is None else transferred.rows,
        "versions": versions(),
    }
    _write(out, record, alignments, sheet)
    for each in tables(record):
        Console().print(each)
    if judge is None:
        click.echo("not both models draw critters at 128 px: variance only, and moves along the first component")
    elif record["not_readable"]:
        click.echo(f"the predictor does not read these well, they are left out: {', '.join(record['not_readable'])}")
    if judge is not None and edits and transferred is None:
        click.echo("no held-out image has a landmark that an edit could move; draw more with --held-out")
    click.echo(f"see {out / 'sheet.png'} and {out / 'scores.json'}")


def _labels(models: Models, label: int | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """One-hot labels [1, c_dim] of both models, None for one without classes. Raises UserError."""
    configs = (models.source.config, models.target.config)
    if not any(config.c_dim for config in configs):
        label_vector(configs[0], label)  # raises if a label was given
        return None, None
    first, second = (label_vector(config, label) if config.c_dim else None for config in configs)
    return first, second


def _basis(model: Generator, path: Path | None, components: int | None, label: np.ndarray | None, seed: int) -> PCA:
    """The PCA of a model, from a file or fitted. Raises SpaceError, or UserError for a space of another kind."""
    if path is None:
        basis = fit_pca(model, components=components, seed=seed, label=None if label is None else jnp.asarray(label[0]))
    else:
        stored = load_space(path)
        if not isinstance(stored, PCA):
            raise UserError(f"{path} holds a space of kind {stored.name}; an alignment needs a PCA of W")
        stored.check(model)
        basis = stored
    available = len(basis.components)
    return basis.truncated(min(DEFAULT_COMPONENTS, available) if components is None else components)


def _chart(basis: PCA) -> Chart:
    mean, components, variance = (np.asarray(array) for array in (basis.mean, basis.components, basis.variance))
    return Chart(mean=mean, components=components, variance=variance, model=basis.model)


def _chosen(kind: str, charts: tuple[Chart, Chart]) -> list[MapKind]:
    """The maps to fit; of `all`, the identity is left out where the two W differ in width."""
    fit = len(charts[0].mean) == len(charts[1].mean)
    return [each for each in KINDS if each == kind or (kind == "all" and (fit or each != "identity"))]


def _sheet(
    models: Models, alignments: Mapping[str, Alignment], held: np.ndarray, transferred: Transferred | None
) -> np.ndarray:
    if transferred is not None:
        return edit_sheet(models.source, models.target, transferred.dragged, transferred.moves)
    layers = min(default_layers(model.config.num_ws) for model in (models.source, models.target))
    return component_sheet(models.source, models.target, alignments, held, layers)


def _write(out: Path, record: dict[str, Any], alignments: Mapping[str, Alignment], sheet: np.ndarray) -> None:
    """Fill the folder; scores.json comes last, so where it stands the rest is whole and of the same run."""
    (out / "scores.json").unlink(missing_ok=True)
    for kind in KINDS:
        (out / f"{kind}.npz").unlink(missing_ok=True)
    for kind, alignment in alignments.items():
        alignment.save(out / f"{kind}.npz")
    Image.fromarray(sheet).save(out / "sheet.png")
    (out / "scores.json").write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")
