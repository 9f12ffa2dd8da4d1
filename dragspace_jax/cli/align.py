"""`dragspace align`: maps between the latent spaces of two models, their scores, and edits carried across."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from dragspace_jax.analysis.align import METHODS
from dragspace_jax.cli.align_tables import tables
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.cli.errors import UserError
from dragspace_jax.errors import DragspaceError, renamed
from dragspace_jax.folders import make_folder
from dragspace_jax.placement import present_device
from dragspace_jax.transfer import align as align_models
from dragspace_jax.transfer.align import EDITS, HELD_OUT
from dragspace_jax.transfer.pairs import PAIRINGS
from dragspace_jax.transfer.work import Work

_OPTIONS = {
    "source": "--from", "target": "--to", "maps": "--map", "pairs": "--pairs", "samples": "--samples",
    "held_out": "--held-out", "edits": "--edits", "space": "--space", "seed": "--seed", "label": "--label",
}  # fmt: skip


@click.command(
    epilog="\b\nExamples:\n"
    "  dragspace align --from critters-dog --to critters-cat --map all --out out/align\n"
    "  dragspace align --from models/a --to models/b --map affine --components 128 --out out/ab\n\n"
    "\b\nIn Python:\n"
    '  ds.transfer.align("critters-dog", "critters-cat").save("out/align")'
)
@click.option("--from", "source", required=True, help="The model where edits are made: a folder or an embedded name.")
@click.option("--to", "target", required=True, help="The model that they are carried to.")
@click.option("--map", "maps", type=click.Choice([*METHODS, "all"]), default="all", show_default=True)
@click.option(
    "--pairs",
    type=click.Choice(PAIRINGS),
    default="z",
    show_default=True,
    help="Pair latents of one z, or samples matched by their predicted attributes (critters only).",
)
@click.option("--samples", type=click.IntRange(2), help="Pairs to fit on [default: 20000 of z, 4000 of attributes].")
@click.option(
    "--held-out", type=click.IntRange(2), default=HELD_OUT, show_default=True, help="Further pairs, to evaluate by."
)
@click.option("--components", type=click.IntRange(1), help="PCA coordinates of each model [default: up to 64].")
@click.option(
    "--basis-from", "source_basis", type=click.Path(path_type=Path), help="PCA of the first model, by `fit-pca`."
)
@click.option("--basis-to", "target_basis", type=click.Path(path_type=Path), help="PCA of the second model.")
@click.option("--edits", type=click.IntRange(0), default=EDITS, show_default=True, help="Drags to carry across.")
@click.option("--space", type=click.Choice(["w+", "pca"]), default="w+", show_default=True, help="What they move in.")
@click.option("--label", type=int, help="Class, for models with classes.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 3), default=0, show_default=True, help="Of all samples.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@with_device
def align(source: str, target: str, out: Path, **options: Any) -> None:
    """Map the latents of one model to those of another, and evaluate the maps on held-out pairs.

    Writes a map as MAP.npz for each of identity (models that share an ancestor), procrustes (orthogonal, with a scale),
    affine (least squares) and cca (canonical variates), scores.json, and sheet.png: edits of the first model, and the
    aligned images of the second before and after the same edit. Attributes and edits are evaluated where both models
    draw critters at 128 px; for others the sheet shows a move along the first component. `dragspace transfer` applies a
    map to edits of your own.
    """
    make_folder(out)
    try:
        with progress() as bar:
            alignments = align_models(source, target, on_start=_announce, on_progress=_shown(bar), **options)
    except DragspaceError as error:
        raise UserError(renamed(error, _OPTIONS)) from error
    alignments.save(out)
    record = alignments.scores
    for each in tables(record):
        Console().print(each)
    if not record["evaluated"]:
        click.echo("not both models draw critters at 128 px: variance only, and moves along the first component")
    elif record["unreliable_attributes"]:
        names = ", ".join(record["unreliable_attributes"])
        click.echo(f"the predictor is not reliable for these attributes, they are left out: {names}")
    if record["evaluated"] and options["edits"] and record["edits"] is None:
        click.echo("no held-out image has a landmark that an edit could move; draw more with --held-out")
    click.echo(f"see {out / 'sheet.png'} and {out / 'scores.json'}")


def _announce(work: Work) -> None:
    """One line on the error stream before it starts: what will be done, and that it takes a while."""
    drags = f" and {work.drags} drags" if work.drags else ""
    slow = "; minutes on a CPU" if work.images >= 5000 and present_device().platform == "cpu" else ""
    click.echo(f"to do: {work.pairs:,} pairs of latents, {work.images:,} images{drags}{slow}", err=True)


def _shown(bar: Progress) -> Any:
    """What tells the bar; it appears with the first work."""
    tasks: list[TaskID] = []

    def show(stage: str, done: int, total: int) -> None:
        if not tasks:
            tasks.append(bar.add_task(stage, total=total))
        bar.update(tasks[0], description=stage, completed=done, total=total)

    return show
