"""`dragspace batch`: the edits of a file through lanes of one compiled program, results as they finish."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from dragspace_jax.batch import BatchInterrupted, BatchSummary, run
from dragspace_jax.batch.folder import INVALID
from dragspace_jax.batch.pictures import Pictures
from dragspace_jax.batch.sheet import Order
from dragspace_jax.cli.batch_bar import BatchBar
from dragspace_jax.cli.console import error_console
from dragspace_jax.cli.device_option import with_devices
from dragspace_jax.cli.drag_options import with_drag_options
from dragspace_jax.cli.errors import disk_errors

_EXAMPLE = """\b
Example:
  echo '{"id": "ear", "seed": 13, "psi": 1, "handles": [[31, 66]], "targets": [[18, 34]]}' > edits.jsonl
  dragspace batch edits.jsonl --model critters-dog --out out/batch

\b
A line is a JSON object:
  seed or latents    the image: a seed, or a file of W+ (files are relative to EDITS)
  handles, targets   [[x, y], …] in pixels of the image
  id, psi, label, mask, invert_mask, region, segment, segments, and all options of how to drag from
  --recipe to --dtype, with _ for -: what the line does not name, the command says
or one of FreeDragBench: seed and points.handle, points.target as [[row, column], …]
of a 512 px image; they move to the same place of the model's.
"""
_GO_ON = "the same command with --resume goes on"


class _Lanes(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic in newer versions only
    name = "auto|N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | Literal["auto"]:
        if value == "auto":
            return "auto"
        if not str(value).isascii() or not str(value).isdecimal() or int(str(value)) < 1:
            self.fail(f"{value!r} is neither auto nor a whole number from 1", param, ctx)
        return int(str(value))


@click.command(epilog=_EXAMPLE)
@click.argument("edits", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@click.option(
    "--lanes", type=_Lanes(), default="auto", show_default=True, help="Edits at once; auto: what memory holds."
)
@click.option("--pictures", type=click.Choice(["none", "after", "pair"]), default="after", show_default=True,
              help="pair: before and after, with the points.")  # fmt: skip
@click.option("--sort", type=click.Choice(["file", "quality"]), default="file", show_default=True,
              help="Order of the sheet; quality: the worst first.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with what an interrupted run left in the folder.")
@click.option("--overwrite", is_flag=True, help="Remove what an earlier run left in the folder.")
@click.option("--psi", default=0.7, show_default=True, help="Truncation of the seeds' latents; 1 is none.")
@click.option("--label", type=int, help="Class of the seeds' images, for a model with classes.")
@with_devices
@click.option("--on", metavar="ray[:ADDRESS]", help="Over the workers of a Ray cluster; without an address one is "
              "started on this machine.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), help="How many of them [default: one a GPU, or a machine].")
@click.option("--mirror", metavar="PATH", help="Copy what has finished there as well: a folder, gs://… or s3://…; with "
              "--resume, what is missing in --out comes back from there.")  # fmt: skip
@with_drag_options
def batch(
    edits: Path,
    model: str,
    out: Path,
    lanes: int | Literal["auto"],
    pictures: Pictures,
    sort: Order,
    resume: bool,
    overwrite: bool,
    psi: float,
    label: int | None,
    device: str | None,
    on: str | None,
    workers: int | None,
    mirror: str | None,
    **chosen: Any,
) -> None:
    """Drag all edits of the file EDITS, one JSON object a line, many at once.

    Writes results.jsonl, a line an edit as it finishes, latents/ID.npz (`ws` after the edit, `start` before it),
    images/ID.png, sheet.png (the first 64 of them) and summary.json. A line that is no edit becomes a result with the
    outcome `invalid` and its reason; the others run. After Ctrl-C, --resume goes on.
    """
    try:
        with disk_errors(out, _GO_ON), BatchBar(error_console) as bar:
            summary = run(
                edits,
                model,
                out,
                lanes=lanes,
                pictures=pictures,
                sort=sort,
                resume=resume,
                overwrite=overwrite,
                psi=psi,
                label=label,
                device=device,
                on=on,
                workers=workers,
                mirror=mirror,
                on_progress=bar.update,
                **chosen,
            )
    except BatchInterrupted as stopped:
        _tell(stopped.summary, out)
        click.echo(f"interrupted; {_GO_ON}", err=True)
        raise click.exceptions.Exit(130) from None
    except SystemExit:
        click.echo(f"terminated; {_GO_ON}", err=True)
        raise
    _tell(summary, out)


def _tell(summary: BatchSummary, out: Path) -> None:
    state = summary.state
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(summary.outcomes.items())) or "none"
    click.echo(f"{state.total} edits: {outcomes}")
    click.echo(
        f"{state.edits_per_second:.2f} edits/s ({state.dragged} in {state.seconds:.1f} s, "
        f"and {state.compile_seconds:.1f} s of compiling), lanes {state.stats.occupancy:.0%} occupied"
    )
    ended = sum(summary.outcomes.values()) - summary.outcomes.get(INVALID, 0)
    if ended:
        click.echo(f"{summary.flagged} of {ended} are flagged; `verdict` in results.jsonl says why")
    if invalid := summary.outcomes.get(INVALID):
        click.echo(f"{invalid} of the lines are invalid; results.jsonl says why")
    click.echo(f"see {out}")
