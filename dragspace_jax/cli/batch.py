"""`dragspace batch`: the edits of a file through lanes of one compiled program, results as they finish."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console

from dragspace_jax.checkpoint import load
from dragspace_jax.cli.batch_earlier import Digests, Earlier
from dragspace_jax.cli.batch_folder import INVALID, BatchFolder
from dragspace_jax.cli.batch_lines import BatchLines
from dragspace_jax.cli.batch_pictures import Pictures
from dragspace_jax.cli.batch_progress import BatchProgress
from dragspace_jax.cli.batch_run import BatchRun
from dragspace_jax.cli.drag_options import with_drag_options
from dragspace_jax.cli.edit_requests import RequestMaker
from dragspace_jax.cli.errors import UserError
from dragspace_jax.cli.report import versions
from dragspace_jax.stylegan2.parameters import fingerprint

_EXAMPLE = """\b
Example:
  echo '{"id": "ear", "seed": 13, "psi": 1, "handles": [[31, 66]], "targets": [[23, 22]]}' > edits.jsonl
  dragspace batch edits.jsonl --model critters-dog --out out/batch

\b
A line is a JSON object:
  seed or latents    the image: a seed, or a file of W+ (files are relative to EDITS)
  handles, targets   [[x, y], …] in pixels of the image
  id, psi, label, mask, invert_mask, and all options of how to drag from
  --recipe to --engine, with _ for -: what the line does not name, the command says
or one of FreeDragBench: seed and points.handle, points.target as [[row, column], …]
of a 512 px image; they move to the same place of the model's.
"""


class _Lanes(click.ParamType):
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
@click.option("--resume", is_flag=True, help="Go on with what an interrupted run left in the folder.")
@click.option("--overwrite", is_flag=True, help="Remove what an earlier run left in the folder.")
@click.option("--psi", default=0.7, show_default=True, help="Truncation of the seeds' latents; 1 is none.")
@click.option("--label", type=int, help="Class of the seeds' images, for a model with classes.")
@with_drag_options
def batch(
    edits: Path,
    model: str,
    out: Path,
    lanes: int | Literal["auto"],
    pictures: Pictures,
    resume: bool,
    overwrite: bool,
    psi: float,
    label: int | None,
    **chosen: Any,
) -> None:
    """Drag all edits of the file EDITS, one JSON object a line, many at once.

    Writes results.jsonl, a line an edit as it finishes, latents/ID.npz (`ws` after the edit, `start` before it),
    images/ID.png and summary.json. A line
    that is no edit becomes a result with the outcome `invalid` and its reason; the others run. After Ctrl-C, --resume
    goes on.
    """
    if resume and overwrite:
        raise UserError("give either --resume or --overwrite")
    if not edits.is_file():
        raise UserError(f"{edits} is read twice, so it must be a file")
    earlier = Earlier(out, resume=resume, overwrite=overwrite)
    lines = BatchLines(edits)
    generator = load(model)
    digests = Digests(generator, {"psi": psi, "label": label, **chosen, "basis": _digest_of(chosen["basis"])})
    if resume:
        earlier.check_same((name, digests.of(raw)) for name, raw in lines.named())
    maker = RequestMaker(generator, edits.parent, chosen, psi=psi, label=label)
    folder = BatchFolder(earlier, fingerprint(generator), overwrite=overwrite)
    began = time.perf_counter()
    with closing(folder), BatchProgress(lines.total, Console(stderr=True)) as progress:
        run = BatchRun(lines, digests, generator, maker, folder, pictures, progress)
        stats = run.drag(lanes)
    seconds = time.perf_counter() - began
    summary = {
        "edits": lines.total,
        "outcomes": dict(folder.counts),
        "interrupted": run.interrupted,
        "this_run": {
            "edits": run.dragged,
            "seconds": round(seconds, 3),
            "edits_per_second": round(run.dragged / seconds, 4),
            "lane_steps": stats.lane_steps,
            "occupancy": round(stats.occupancy, 4),
            "handle_occupancy": round(stats.handle_occupancy, 4),
        },
        "settings": {
            "model": model,
            "edits": str(edits),
            "lanes": lanes,
            "pictures": pictures,
            "psi": psi,
            "label": label,
            **chosen,
        },
        "versions": versions(),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    click.echo(_told(summary))
    if folder.counts[INVALID]:
        click.echo(f"{folder.counts[INVALID]} of the lines are invalid; results.jsonl says why")
    click.echo(f"see {out}")
    if run.interrupted:
        click.echo("interrupted; the same command with --resume goes on", err=True)
        raise click.exceptions.Exit(130)


def _digest_of(basis: str | None) -> str | None:
    """A hash of the basis that all lines may move in, which is another one if it was fitted anew."""
    return None if basis is None else hashlib.sha256(Path(basis).read_bytes()).hexdigest()


def _told(summary: dict[str, Any]) -> str:
    counts, this_run = summary["outcomes"], summary["this_run"]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "none"
    return (
        f"{summary['edits']} edits: {outcomes}\n"
        f"{this_run['edits_per_second']:.2f} edits/s ({this_run['edits']} in {this_run['seconds']:.1f} s), "
        f"lanes {this_run['occupancy']:.0%} occupied"
    )
