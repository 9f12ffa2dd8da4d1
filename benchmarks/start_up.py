"""How long from the command to the first iteration, with an empty compilation cache and with a filled one?

    python -m benchmarks.start_up --model critters-dog

Runs `dragspace drag` for one iteration in fresh processes that share a cache folder, empty at first, and
takes the wall time from the start of the process to its end; no pictures are written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table


def timed_drag(model: str, cache: Path, out: Path) -> tuple[float, float]:
    """Seconds of the whole process, and of the drag in it until its first iteration was there."""
    points = ("--handles", "60,60", "--targets", "90,60")
    command = ["-m", "dragspace_jax.cli", "drag", "--model", model, "--seed", "0", *points]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *command, "--steps", "1", "--pictures", "none", "--out", str(out)],
        check=True,
        capture_output=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    whole = time.perf_counter() - began
    return whole, json.loads((out / "result.json").read_text())["seconds_to_first_iteration"]


@click.command(context_settings={"show_default": True})
@click.option("--model", default="critters-dog", help="An embedded model or a model folder, 128 px or more.")
@click.option("--repeats", default=3, help="Warm starts.")
def main(model: str, repeats: int) -> None:
    """Time a first (cold) and further (warm) starts of `dragspace drag`."""
    table = Table("start", "command, s", "of it the drag until its first iteration, s")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1 + repeats):
            whole, first = timed_drag(model, Path(folder) / "cache", Path(folder) / "out")
            table.add_row("warm" if number else "cold", f"{whole:.1f}", f"{first:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
