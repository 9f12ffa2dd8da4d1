"""What does a TPU's compiler make of a drag, and what would that take? No TPU is needed, and none is used.

    python -m benchmarks.tpu_compile --case drag --target v5e --lanes 64 --dtype bfloat16
    python -m benchmarks.tpu_compile --case drag,least-change --lanes 1,64 --dtype bfloat16,float32 --json

Programs are compiled by libtpu for chips that are not there, and their cycles added up from its own estimates, so the
figures are the same however busy this machine is. **They are estimates of a compiler, not measurements.** An
instruction counts once for every trip of the loops around it, and no less than its multiply-adds take at the chip's
peak; what the compiler estimates nothing for counts as the larger of its multiply-adds at the peak and its bytes at
the memory's bandwidth.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import click
import jax
from rich.console import Console

from dragspace_jax.errors import DragspaceError

from . import report
from .device_rates import Precision
from .report import Column, Table
from .tpu.cases import PROGRAMS
from .tpu.measured import ITERATIONS, Row, measure
from .tpu.targets import TARGETS, devices

CHIPS = 4
TABLE = Table(
    "by TPU's compiler: estimates, nothing was run",
    [
        Column("case", ["case"]),
        Column("TPU", ["target"]),
        Column("type", ["dtype"]),
        Column("lanes", ["lanes"], "{:d}"),
        Column("compile, s", ["compile_seconds"], "{:.0f}"),
        Column("GiB", ["gib"], "{:.2f}"),
        Column("temporary", ["temporary_gib"], "{:.2f}"),
        Column("k cycles", ["kilocycles"], "{:.1f}"),
        Column("µs", ["microseconds"], "{:.1f}"),
        Column("products, %", ["convolution_percent"], "{:.0f}"),
        Column("at peak, %", ["floor_percent"], "{:.0f}"),
        Column("else, M", ["other_megacycles"], "{:.2f}"),
        Column("no estimate, %", ["unestimated_percent"], "{:.1f}"),
        Column("MB moved", ["megabytes"], "{:.2f}"),
        Column("edits/s by clock", ["by_clock"], "{:.3g}"),
        Column("by bandwidth", ["by_bandwidth"], "{:.3g}"),
    ],
)
DEAREST = Table("the dearest lines", [Column("share, %", ["percent"], "{:.1f}"), Column("line", ["place"])])
ABOUT = (
    "k cycles, µs and MB: of one iteration of one edit (of an image, a Jacobian); products: matrix products, at peak: "
    "what these take at the least; else: million cycles of an iteration of all lanes that are no products; edits of "
    f"{ITERATIONS} iterations (images, Jacobians) a second and chip"
)


def shown(row: Row) -> dict[str, Any]:
    """A row in the units of the table."""
    return dataclasses.asdict(row) | {
        "gib": row.argument_bytes / 2**30,
        "temporary_gib": row.temporary_bytes / 2**30,
        "kilocycles": row.cycles_per_edit_iteration / 1e3,
        "convolution_percent": 100 * row.convolution_share,
        "floor_percent": 100 * row.floor_share,
        "other_megacycles": row.other_cycles / 1e6,
        "unestimated_percent": 100 * row.unestimated_share,
        "megabytes": row.bytes / 1e6,
    }


def _names(known: Mapping[str, Any] | Sequence[str]) -> Callable[..., list[str]]:
    """What reads names with commas, each of which must be known."""

    def read(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
        del context, parameter
        names = [name.strip() for name in text.split(",")]
        if unknown := [name for name in names if name not in known]:
            raise click.BadParameter(f"{unknown[0]!r} is not known; there are {', '.join(known)}")
        return names

    return read


def _lanes(context: click.Context, parameter: click.Parameter, text: str) -> list[int]:
    del context, parameter
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) for word in words):
        raise click.BadParameter(f"{text!r} is no list of numbers of lanes, from 1, with commas")
    return [int(word) for word in words]


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--case", "cases", default="drag", callback=_names(PROGRAMS), help=f"Of {', '.join(PROGRAMS)}.")
@click.option("--target", "targets", default="v5e", callback=_names(TARGETS), help=f"Of {', '.join(TARGETS)}.")
@click.option("--lanes", default="64", callback=_lanes, help="On each chip, with commas.")
@click.option("--dtype", "dtypes", default="bfloat16", callback=_names(get_args(Precision)), help="With commas.")
@click.option("--chips", default=1, type=click.IntRange(1, CHIPS), help="Divide lanes among so many (drags).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of tables.")
@click.option("--hlo", default=None, type=click.Path(file_okay=False, path_type=Path), help="Keep the programs' texts.")
def main(
    cases: list[str],
    targets: list[str],
    lanes: list[int],
    dtypes: list[Precision],
    chips: int,
    as_json: bool,
    hlo: Path | None,
) -> None:
    jax.config.update("jax_platforms", "cpu")  # whatever is here: nothing runs
    console, rows = report.results_console(), list[Row]()
    plan = list(itertools.product(cases, targets, dtypes, lanes))
    try:
        for target in targets:
            devices(TARGETS[target])
        with Console(stderr=True).status("") as status:
            for number, (case, target, dtype, count) in enumerate(plan, 1):
                status.update(f"{number} of {len(plan)}: compiling {case} for {target}, {count} lanes, {dtype}")
                kept = None if hlo is None else hlo / f"{case}-{target}-{dtype}-{count}.hlo"
                keep = _ignored if kept is None else _writer(kept)
                row = measure(case, TARGETS[target], lanes=count, dtype=dtype, chips=chips, keep=keep)
                rows.append(row)
                if as_json:
                    click.echo(json.dumps(dataclasses.asdict(row)))
                else:
                    console.print(TABLE.rich([shown(row)]), _dearest(row))
    except DragspaceError as error:
        raise click.ClickException(str(error)) from error
    if not as_json:
        console.print(TABLE.rich([shown(row) for row in rows]), ABOUT, highlight=False)


def _dearest(row: Row) -> Any:
    return DEAREST.rich([{"percent": 100 * share, "place": place} for place, share in row.dearest])


def _ignored(text: str) -> None:
    del text


def _writer(path: Path) -> Callable[[str], Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_text


if __name__ == "__main__":
    main()
