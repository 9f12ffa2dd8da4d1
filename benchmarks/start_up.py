"""How long from the command to the first iteration, and to pictures, with an empty compilation cache and a filled one?

    python -m benchmarks.start_up --model critters-dog

Runs `dragspace drag` for one iteration in fresh processes that share a cache folder, empty at first, and
takes the wall time from the start of the process to its end, without pictures; then for up to 16 with all pictures,
which in the first start finds the drag's program kept and compiles the pictures' one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from . import report
from .machine import cores, facts
from .report import Column, Table

TABLE = Table(
    "start of `dragspace drag`",
    [
        Column("start", ["start"]),
        Column("command, s", ["seconds"], "{:.1f}"),
        Column("of it the drag until its first iteration, s", ["first_seconds"], "{:.1f}"),
        Column("16 iterations with pictures, s", ["pictures_seconds"], "{:.1f}"),
    ],
)


def timed_drag(model: str, cache: Path, out: Path, *, steps: int, pictures: str) -> tuple[float, float]:
    """Seconds of the whole process, and of the drag in it; of one iteration, that is until the first was there."""
    points = ("--handles", "2,2", "--targets", "6,2")
    command = ["-m", "dragspace_jax.cli", "drag", "--model", model, "--seed", "0", *points]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *command, "--steps", str(steps), "--pictures", pictures, "--out", str(out)],
        check=True,
        capture_output=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    whole = time.perf_counter() - began
    record = json.loads((out / "result.json").read_text())
    return whole, record["compile_seconds"] + record["seconds"]


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--model", default="critters-dog", help="An embedded model or a model folder.")
@click.option("--repeats", default=3, type=click.IntRange(0), help="Warm starts.")
@click.option("--out", default=Path("out/benchmarks/start_up.json"), type=click.Path(path_type=Path, dir_okay=False))
def main(model: str, repeats: int, out: Path) -> None:
    rows: list[dict[str, Any]] = []
    with cores(None) as count, tempfile.TemporaryDirectory() as folder:
        for number in range(1 + repeats):
            cache, drags = Path(folder) / "cache", Path(folder) / f"drags{number}"
            whole, first = timed_drag(model, cache, drags / "first", steps=1, pictures="none")
            shown, _ = timed_drag(model, cache, drags / "all", steps=16, pictures="all")
            start = f"warm {number}" if number else "cold"
            rows.append({"start": start, "seconds": whole, "first_seconds": first, "pictures_seconds": shown})
        report.finish(report.results_console(), out, facts(count), [TABLE], rows)


if __name__ == "__main__":
    main()
