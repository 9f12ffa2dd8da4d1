"""How many edits a second do lanes bring, against the published loop's one edit after the other?

    python -m benchmarks.lanes_speed --most-lanes 256 --iterations 32

Edits of one handle on different seeds, each for a fixed number of iterations (the target is out of reach), through
`drag_many` with B = 1, 2, 4, … lanes, in float32 and bfloat16. Both sides use the device at hand. Beside the speed of
bfloat16 stands how far its handles and latents end from float32's.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from dragspace_jax.checkpoint import load
from dragspace_jax.drag import BatchError
from dragspace_jax.stylegan2 import Generator

from . import ours
from .case import CASES, Case, Subject, edits_of, random_model
from .device_rates import Precision, Rates
from .device_rates import measure as measure_rates
from .lanes_plot import plot_lanes
from .machine import BUSY, accelerated, cores, facts, has_torch, share_accelerator
from .our_lanes import BatchRun, drag_batch
from .rows import results_console

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
ROUNDS = 2
"""Edits a lane gets in the timed part, which thereby holds what harvesting and refilling cost."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaneRow:
    """One size of a batch.

    Attributes:
      dtype: type of the synthesis.
      lanes: B.
      edits: how many were timed, after the warm-up.
      seconds: for all of them.
      edits_per_second: speed.
      against_one: that over the speed of one lane of the same type.
      speedup: over the published loop's edits one after the other; None without it.
      tflops: achieved, of the counted convolutions.
      share: of the measured matmul rate of the same type.
      times_floor: a step's time over the least it can take.
      drift_px, drift_latents: greatest distance of the last handles and of the final latents from float32's; None for
        float32 itself.
    """

    dtype: Precision
    lanes: int
    edits: int
    seconds: float
    edits_per_second: float
    against_one: float
    speedup: float | None
    tflops: float
    share: float
    times_floor: float
    drift_px: float | None
    drift_latents: float | None


def sizes(most: int) -> list[int]:
    """1, 2, 4, … up to `most`."""
    return [2**i for i in range(most.bit_length())]


def drift(run: BatchRun, exact: BatchRun) -> tuple[float, float]:
    """Greatest distance of the last handles, in px, and greatest difference of the final latents, edit by edit."""
    pairs = [(run.results[name], exact.results[name]) for name in exact.results]
    handles = max(float(np.linalg.norm(_array(a.handles_yx) - _array(b.handles_yx), axis=-1).max()) for a, b in pairs)
    latents = max(float(np.abs(_array(a.ws) - _array(b.ws)).max()) for a, b in pairs)
    return handles, latents


def _array(values: np.ndarray | None) -> np.ndarray:
    assert values is not None  # only an invalid edit has none, and `drag_batch` lets none pass
    return values


def published_speed(model: Generator, case: Case, iterations: int) -> float | None:
    """Edits a second of the published loop, one after the other; None without PyTorch."""
    if not has_torch():
        return None
    from . import torch_baseline

    device = torch_baseline.default_device(accelerated())
    run = torch_baseline.run(Subject.of(model), case, min(iterations, 10), 2, device)
    return 1e3 / (run.median_ms * iterations)


def series(
    model: Generator,
    case: Case,
    *,
    most_lanes: int,
    iterations: int,
    rates: Sequence[Rates],
    baseline: float | None,
    say: Callable[[str], object] = lambda text: None,
) -> Iterator[LaneRow]:
    """Measure every size in every type of `rates`, float32 first; what does not fit into memory ends its type."""
    convolutions = ours.work(case).convolutions
    multiply_adds = sum(c.multiply_adds for c in convolutions)
    exact: dict[int, BatchRun] = {}
    for rate in rates:
        alone = None
        for lanes in sizes(most_lanes):
            say(f"{rate.dtype}: {lanes} lanes")
            try:
                run = drag_batch(model, case, rounds=ROUNDS, lanes=lanes, iterations=iterations, dtype=rate.dtype)
            except BatchError as error:
                say(str(error))
                break
            if rate.dtype == "float32":
                exact[lanes] = run
            far = drift(run, exact[lanes]) if rate.dtype != "float32" and lanes in exact else (None, None)
            speed = run.timed / run.seconds
            alone = speed if alone is None else alone
            flops = 2 * multiply_adds * run.steps / run.seconds
            step_ms = 1e3 * lanes * run.seconds / run.steps
            yield LaneRow(
                dtype=rate.dtype,
                lanes=lanes,
                edits=run.timed,
                seconds=run.seconds,
                edits_per_second=speed,
                against_one=speed / alone,
                speedup=None if baseline is None else speed / baseline,
                tflops=flops / 1e12,
                share=flops / rate.flops,
                times_floor=step_ms / rate.floor_ms(convolutions, lanes),
                drift_px=far[0],
                drift_latents=far[1],
            )


def table(rows: Sequence[LaneRow], title: str) -> Table:
    headings = ("edits/s", "× 1 lane", "× torch", "TFLOP/s", "of matmul", "× floor", "Δ px", "Δ latents")
    shown = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for heading in ("type", "lanes", *headings):
        shown.add_column(heading, justify="left" if heading == "type" else "right", no_wrap=True)
    for r in rows:
        shown.add_row(
            r.dtype,
            str(r.lanes),
            f"{r.edits_per_second:.3g}",
            f"{r.against_one:.2f}",
            "" if r.speedup is None else f"{r.speedup:.1f}",
            f"{r.tflops:.3g}",
            f"{100 * r.share:.0f} %",
            f"{r.times_floor:.1f}",
            "" if r.drift_px is None else f"{r.drift_px:.1f}",
            "" if r.drift_latents is None else f"{r.drift_latents:.1e}",
        )
    return shown


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--model", default=None, help="A model folder or an embedded model  [default: random 512 px config F]")
@click.option("--most-lanes", default=8, type=click.IntRange(1), help="The largest batch.")
@click.option("--iterations", default=32, type=click.IntRange(1), help="Of every edit.")
@click.option("--threads", default=None, type=click.IntRange(1), help="Cores to use, for both sides  [default: all]")
@click.option("--bfloat16/--no-bfloat16", default=True, help="Whether to measure that type too.")
@click.option("--out", default=Path("out/benchmarks/lanes_speed.json"), type=click.Path(path_type=Path, dir_okay=False))
@click.option("--plot", default=Path("docs/lanes.png"), type=click.Path(path_type=Path, dir_okay=False))
def main(
    model: str | None, most_lanes: int, iterations: int, threads: int | None, bfloat16: bool, out: Path, plot: Path
) -> None:
    share_accelerator()
    console = results_console()
    with cores(threads) as count, Console(stderr=True).status("measuring the device") as status:
        machine = facts(count)
        if machine["load_average_before"] > BUSY:
            console.print(f"load average {machine['load_average_before']:.1f}: other programs run here", style="yellow")
        rates = [measure_rates(dtype) for dtype in (PRECISIONS if bfloat16 else PRECISIONS[:1])]
        case = CASES["512-one"] if model is None else None
        generator = random_model(case.config) if case is not None else load(str(model))
        case = case or edits_of(generator.config)["one"]
        status.update("the published loop")
        baseline = published_speed(generator, case, iterations)
        rows = list(
            series(
                generator,
                case,
                most_lanes=most_lanes,
                iterations=iterations,
                rates=rates,
                baseline=baseline,
                say=status.update,
            )
        )
    title = f"{case.title}, {iterations} iterations an edit, {machine['device']}"
    console.print(table(rows, title))
    points = {r.dtype: [(row.lanes, row.edits_per_second) for row in rows if row.dtype == r.dtype] for r in rows}
    plot_lanes(plot, points, baseline, title=title)
    numbers = {
        "machine": machine,
        "case": case.title,
        "iterations": iterations,
        "published_edits_per_second": baseline,
        "rates": [dataclasses.asdict(rate) for rate in rates],
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(numbers, indent=2) + "\n")
    console.print(f"numbers in {out}, plot in {plot}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
