"""The same benchmark several times, each in a process of its own: every figure as a range over the runs.

    python -m benchmarks.ranges --runs 3 drag_speed --cases 512-one --no-memory

What a machine does beside the benchmark differs from run to run; one run says little about the next. The table is
printed as Markdown.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from . import report
from .report import Row, Table

BENCHMARKS = ("device_rates", "drag_speed", "lanes_speed", "memory", "start_up", "window_error")


def run(name: str, arguments: Sequence[str], out: Path) -> dict[str, Any]:
    """One run in a process of its own; its numbers. Raises click.ClickException with what it said if it fails."""
    command = [sys.executable, "-m", f"{__package__}.{name}", *arguments, "--out", str(out)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise click.ClickException(f"{name} failed:\n{done.stderr}")
    return json.loads(out.read_text())


def identity(row: Row) -> tuple[str, ...]:
    """What tells a row from the others of its run: its words."""
    return tuple(value for value in row.values() if isinstance(value, str))


def ranged(tables: Sequence[Table], runs: Sequence[Sequence[Row]]) -> tuple[list[Table], list[dict[str, Any]]]:
    """Tables and rows in which every figure is a text "least–greatest", over those runs that have the row."""
    columns = [column for table in tables for column in table.columns]
    forms = {column.fields[0]: column.form for column in columns if len(column.fields) == 1}
    rows = []
    for first in runs[0]:
        same = [row for rows in runs for row in rows if identity(row) == identity(first)]
        rows.append({field: _range(form, [row[field] for row in same]) for field, form in forms.items()})
    # Two figures in one cell are a range already.
    shown = [
        Table(table.title, [dataclasses.replace(c, form="{}") for c in table.columns if len(c.fields) == 1])
        for table in tables
    ]
    return shown, rows


def _range(form: str, values: Sequence[Any]) -> Any:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    low, high = form.format(known[0]), form.format(known[-1])
    return low if low == high else f"{low}–{high}"


@click.command(help=__doc__, context_settings={"ignore_unknown_options": True})
@click.option("--runs", default=3, show_default=True, type=click.IntRange(2), help="How many.")
@click.option("--out", default=Path("out/benchmarks/ranges.json"), type=click.Path(path_type=Path, dir_okay=False))
@click.argument("name", type=click.Choice(BENCHMARKS))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(runs: int, out: Path, name: str, arguments: tuple[str, ...]) -> None:
    measured = [run(name, arguments, out.with_stem(f"{out.stem}-{name}-{number}")) for number in range(1, runs + 1)]
    first, every = measured[0], [each["rows"] for each in measured]
    tables, rows = ranged([Table.from_json(table) for table in first["tables"]], every)
    about = f"{name} {' '.join(arguments)}: least–greatest of {runs} runs, {first['machine']['device']}"
    click.echo(f"{about}\n\n" + "\n\n".join(table.markdown(rows) for table in tables))
    report.write(out, first["machine"], tables, rows, command=[name, *arguments], runs=every)


if __name__ == "__main__":
    main()
