"""`dragspace transfer`: latents and finished drags carried to another model by a map of `dragspace align`."""

from __future__ import annotations

from pathlib import Path

import click

from dragspace_jax.cli.console import progress
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.cli.errors import UserError, disk_errors
from dragspace_jax.errors import renamed
from dragspace_jax.transfer import TransferError, carry
from dragspace_jax.transfer.carried import refuse_transfer

_OPTIONS = {"results": "RESULT", "source": "--from", "target": "--to"}


@click.command(
    epilog="\b\nExamples:\n"
    "  dragspace transfer out/ear --map out/align/affine.npz --to critters-cat --out out/cat\n"
    "  dragspace transfer out/batch more.npy --map out/align/affine.npz --to critters-cat --out out/cats\n\n"
    "\b\nIn Python:\n"
    '  ds.transfer.carry(["out/ear"], "out/align/affine.npz", "critters-cat").save("out/cat")'
)
@click.argument("results", metavar="RESULT...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--map", "alignment", type=click.Path(path_type=Path), required=True, help="MAP.npz of dragspace align.")
@click.option("--to", "target", required=True, help="The model to carry to: a folder or an embedded name.")
@click.option("--from", "source", help="The model of the results, for the sheet [default: the one that they name].")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier transfer left in the folder.")
@with_device
def transfer(
    results: tuple[Path, ...], alignment: Path, target: str, source: str | None, out: Path, overwrite: bool
) -> None:
    """Carry latents and finished drags to another model.

    A RESULT is a folder of `dragspace drag` or `dragspace batch`, or a file of latents (.npy, .npz). Writes
    latents/ID.npz of the other model (`ws` after the edit, `start` before it; go on with `dragspace drag --latents`),
    images/ID.png, sheet.png with the images before and after in both models, and transfer.json. All RESULTs are
    checked before anything is written.
    """
    refuse_transfer(out, overwrite=overwrite)  # before the models are read
    try:
        carried = carry(results, alignment, target, source=source)
    except TransferError as error:
        raise UserError(renamed(error, _OPTIONS)) from error
    with disk_errors(out, "run the command again with --overwrite"), progress() as bar:
        task = bar.add_task("rendering", total=len(carried.finished))
        carried.save(out, overwrite=overwrite, on_progress=lambda done: bar.update(task, completed=done))
    if carried.source is None:
        click.echo("note: the model of the results is not at hand, so the sheet leaves it out; give it as --from")
    count, edits = len(carried.finished), sum(each.edited for each in carried.finished)
    click.echo(f"{count} image{'s' if count > 1 else ''}, {edits} of them edited, carried to {target}; see {out}")
