"""How long does one drag iteration take, against the published loop?

    python -m benchmarks.drag_speed --resolutions 256,512 --iterations 10

Both sides run in this process on the same random config-F weights, the same edit and the same cores, warmed up and
timed until their results are there. The table puts quality beside time: a fast loop that drags elsewhere is no win.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import ours, torch_baseline
from benchmarks.case import Case, Run

WARMUP = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; the last two compare with the baseline's run and are None on its own line.

    Attributes:
      same_handles: iterations from the start whose tracked handles equal the baseline's.
      latent_difference: maximum absolute difference of the latents after the last timed iteration.
    """

    resolution: int
    side: str
    first_ms: float
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    iterations: int
    speedup: float | None
    same_handles: int | None
    latent_difference: float | None


def row(case: Case, side: str, run: Run, baseline: Run | None) -> Row:
    """Sum up a run, beside the baseline's if it is not that itself."""
    same = None if baseline is None else (run.handles_yx == baseline.handles_yx).all((1, 2)).tolist()
    return Row(
        resolution=case.resolution,
        side=side,
        first_ms=run.first_ms,
        median_ms=run.median_ms,
        fastest_ms=float(run.iteration_ms.min()),
        slowest_ms=float(run.iteration_ms.max()),
        iterations=len(run.handles_yx),
        speedup=None if baseline is None else baseline.median_ms / run.median_ms,
        same_handles=None if same is None else [*same, False].index(False),
        latent_difference=None if baseline is None else float(np.abs(run.latents - baseline.latents)[-1].max()),
    )


def contestants() -> dict[str, Callable[[Case, int, int], Run]]:
    """The sides by name, the baseline first; each takes (case, iterations, warm-up rounds)."""
    return {"torch": torch_baseline.run, "ours": ours.run}


def table(rows: list[Row]) -> Table:
    shown = Table(title="ms per drag iteration (config F, one handle, six layers of W+)", box=box.SIMPLE)
    for heading in ("image", "side"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("first", "median", "range", "speed-up", "handles", "Δ latents"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for r in rows:
        shown.add_row(
            f"{r.resolution} px",
            r.side,
            f"{r.first_ms:.0f}",
            f"{r.median_ms:.0f}",
            f"{r.fastest_ms:.0f}–{r.slowest_ms:.0f}",
            "" if r.speedup is None else f"{r.speedup:.2f} ×",
            "" if r.same_handles is None else f"{r.same_handles}/{r.iterations}",
            "" if r.latent_difference is None else f"{r.latent_difference:.1e}",
        )
    return shown


def machine(threads: int) -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    packages = ("jax", "jaxlib", "flax", "torch", "numpy")
    return {
        "processor": models[0] if models else platform.processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads,
        "load_average_before": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in packages}},
    }


def resolutions(_context: click.Context, _parameter: click.Parameter, value: str) -> list[int]:
    try:
        sides = [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter("give whole numbers separated by commas, as in 256,512") from None
    if any(side not in (128, 256, 512, 1024) for side in sides):
        raise click.BadParameter("the loop follows block 128; give 128, 256, 512 or 1024")
    return sides


@click.command(help=__doc__)
@click.option("--resolutions", "sides", default="256,512", callback=resolutions, help="Image sides, with commas.")
@click.option("--iterations", default=10, type=click.IntRange(1), help="Timed iterations of each side.")
@click.option("--threads", default=None, type=click.IntRange(1), help="Cores to use, for both sides (default: all).")
@click.option("--out", default=Path("out/benchmarks/drag_speed.json"), type=click.Path(path_type=Path, dir_okay=False))
def main(sides: list[int], iterations: int, threads: int | None, out: Path) -> None:
    # Both runtimes size their pools by the cores this process may use; XLA has no other switch.
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    console = Console()
    facts = machine(len(cores))
    if facts["load_average_before"] > 0.5:
        console.print(f"load average {facts['load_average_before']:.1f}: other programs run here", style="yellow")
    rows: list[Row] = []
    for side in sides:
        case, baseline = Case(resolution=side), None
        for name, run_side in contestants().items():
            with console.status(f"{side} px: {name}"):
                run = run_side(case, iterations, WARMUP)
            rows.append(row(case, name, run, baseline))
            baseline = baseline or run
    console.print(table(rows))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": facts, "rows": [dataclasses.asdict(r) for r in rows]}, indent=2) + "\n")
    console.print(f"numbers in {out}")


if __name__ == "__main__":
    main()
