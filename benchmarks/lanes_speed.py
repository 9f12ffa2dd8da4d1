"""How many edits a second do lanes bring, against the baseline's one edit after the other?

    python -m benchmarks.lanes_speed --lanes 1,8,64,auto --iterations 32

Edits of one handle on different seeds, each for a fixed number of iterations (the target is out of reach), through
`drag_many` with so many lanes, in float32 and bfloat16. Both sides use the device at hand. Beside the speed of bfloat16
stands how far its handles and latents end from float32's; beside `auto`, how near its choice comes to the best of the
others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast, get_args

import click
import numpy as np
from rich.console import Console

from dragspace_jax.checkpoint import load
from dragspace_jax.drag import BatchError
from dragspace_jax.stylegan2 import Generator

from . import implementation, report
from .case import CASES, Case, Sample, edits_of, random_model
from .device_rates import Precision, Rates
from .device_rates import measure as measure_rates
from .lanes import drag_batch
from .lanes_plot import plot_lanes
from .machine import baseline_device, cores, facts, share_accelerator, warn_if_busy
from .report import Column, Table

Lanes = int | Literal["auto"]
ROUNDS = 2
"""Edits per lane in the timed part, which thereby holds what harvesting and refilling cost."""
DEFAULT_LANES = "1,2,4,8,auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaneRow:
    """One size of a batch.

    Attributes:
      dtype: type of the synthesis.
      asked: lanes as asked for, a number or `auto`.
      lanes: B.
      edits: how many were timed, after the warm-up.
      seconds: for all of them.
      edits_per_second: speed.
      against_one: that over the speed of one lane of the same type; None where that was not measured.
      of_best: of `auto`, that over the best speed of the numbers of the same type, else None.
      speedup: over the baseline's edits one after the other; None without it.
      tflops: achieved, of the counted convolutions.
      share: of the measured matmul rate of the same type, per cent.
      times_roofline: a step's time over the least it can take.
      drift_px, drift_latents: greatest distance of the last handles and of the final latents from float32's; None for
        float32 itself.
    """

    dtype: Precision
    asked: str
    lanes: int
    edits: int
    seconds: float
    edits_per_second: float
    against_one: float | None
    of_best: float | None
    speedup: float | None
    tflops: float
    share: float
    times_roofline: float
    drift_px: float | None
    drift_latents: float | None


TABLE = Table(
    "edits a second in lanes",
    [
        Column("type", ["dtype"]),
        Column("lanes", ["asked"]),
        Column("B", ["lanes"], "{:d}"),
        Column("edits/s", ["edits_per_second"], "{:.3g}"),
        Column("× 1 lane", ["against_one"], "{:.2f}"),
        Column("of best", ["of_best"], "{:.2f}"),
        Column("× baseline", ["speedup"], "{:.1f}"),
        Column("TFLOP/s", ["tflops"], "{:.3g}"),
        Column("of matmul, %", ["share"], "{:.0f}"),
        Column("× roofline", ["times_roofline"], "{:.1f}"),
        Column("Δ px", ["drift_px"], "{:.1f}"),
        Column("Δ latents", ["drift_latents"], "{:.1e}"),
    ],
)
Ends = Mapping[int, tuple[np.ndarray, np.ndarray]]


def drift(ends: Ends, exact: Ends) -> tuple[float, float] | tuple[None, None]:
    """Greatest distance of the last handles, in px, and greatest difference of the final latents, over common seeds."""
    pairs = [(ends[seed], exact[seed]) for seed in ends.keys() & exact.keys()]
    if not pairs:
        return None, None
    handles = max(float(np.linalg.norm(a[0] - b[0], axis=-1).max()) for a, b in pairs)
    return handles, max(float(np.abs(a[1] - b[1]).max()) for a, b in pairs)


def baseline_speed(model: Generator, case: Case, iterations: int) -> float | None:
    """Edits a second of the baseline, one after the other; None without PyTorch."""
    device = baseline_device()
    if device is None:
        return None
    from . import baseline

    run = baseline.run(Sample.of(model), case, min(iterations, 10), 2, device)
    return 1e3 / (run.median_ms * iterations)


def series(
    model: Generator,
    case: Case,
    *,
    lanes: Sequence[Lanes],
    iterations: int,
    rates: Sequence[Rates],
    baseline: float | None,
    on_progress: Callable[[str], object] = lambda text: None,
) -> Iterator[LaneRow]:
    """Measure every size in every type of `rates`, float32 first; what does not fit into memory ends its type."""
    convolutions = implementation.work(case).convolutions
    exact: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for rate in rates:
        speeds: dict[Lanes, float] = {}
        for asked in lanes:
            on_progress(f"{rate.dtype}: {asked} lanes")
            try:
                run = drag_batch(model, case, rounds=ROUNDS, lanes=asked, iterations=iterations, dtype=rate.dtype)
            except BatchError as error:
                on_progress(str(error))
                break
            if rate.dtype == "float32":
                exact.update(run.ends)
            far = drift(run.ends, exact) if rate.dtype != "float32" else (None, None)
            speed = run.timed / run.seconds
            best = max(speeds.values(), default=None)
            of_best = speed / best if asked == "auto" and best is not None else None
            speeds[asked] = speed
            flops = 2 * sum(c.multiply_adds for c in convolutions) * run.steps / run.seconds
            step_ms = 1e3 * run.lanes * run.seconds / run.steps
            yield LaneRow(
                dtype=rate.dtype,
                asked=str(asked),
                lanes=run.lanes,
                edits=run.timed,
                seconds=run.seconds,
                edits_per_second=speed,
                against_one=speed / speeds[1] if 1 in speeds else None,
                of_best=of_best,
                speedup=None if baseline is None else speed / baseline,
                tflops=flops / 1e12,
                share=100 * flops / rate.flops,
                times_roofline=step_ms / rate.roofline_ms(convolutions, run.lanes),
                drift_px=far[0],
                drift_latents=far[1],
            )


def sizes(text: str) -> list[Lanes]:
    """ "1,8,auto" → [1, 8, "auto"], `auto` last. Raises click.BadParameter."""
    numbers, words = [], [word.strip() for word in text.split(",")]
    for word in words:
        if word != "auto" and not (word.isdecimal() and int(word)):
            raise click.BadParameter(f"{word!r} is no number of lanes; take numbers from 1 and `auto`, with commas")
        if word != "auto":
            numbers.append(int(word))
    return [*sorted(numbers), *(["auto"] if "auto" in words else [])]


def precisions(text: str) -> list[Precision]:
    """ "bfloat16,float32" → ["float32", "bfloat16"]: what the others are compared with first. Raises BadParameter."""
    asked = {word.strip() for word in text.split(",")}
    if not asked <= set(get_args(Precision)):
        raise click.BadParameter(f"{text!r} is not known; there are {', '.join(get_args(Precision))}")
    return [cast(Precision, dtype) for dtype in get_args(Precision) if dtype in asked]


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--model", default=None, help="A model folder or an embedded model  [default: random 512 px config F]")
@click.option("--lanes", default=DEFAULT_LANES, callback=lambda c, p, text: sizes(text), help="With commas.")
@click.option("--iterations", default=32, type=click.IntRange(1), help="Of every edit.")
@click.option("--threads", default=None, type=click.IntRange(1), help="Cores to use, for both sides  [default: all]")
@click.option("--dtypes", default="float32,bfloat16", callback=lambda c, p, text: precisions(text), help="With commas.")
@click.option("--out", default=Path("out/benchmarks/lanes_speed.json"), type=click.Path(path_type=Path, dir_okay=False))
@click.option("--plot", default=None, type=click.Path(path_type=Path, dir_okay=False), help="A PNG of the series.")
def main(
    model: str | None,
    lanes: Sequence[Lanes],
    iterations: int,
    threads: int | None,
    dtypes: Sequence[Precision],
    out: Path,
    plot: Path | None,
) -> None:
    share_accelerator()
    console = report.results_console()
    rows: list[LaneRow] = []
    with cores(threads) as count, Console(stderr=True).status("measuring the device") as status:
        machine = facts(count)
        warn_if_busy(console, machine)
        rates = [measure_rates(dtype) for dtype in dtypes]
        case = CASES["512-one"] if model is None else None
        generator = random_model(case.config) if case is not None else load(str(model))
        case = case or edits_of(generator.config)["one"]
        status.update("the baseline")
        baseline = baseline_speed(generator, case, iterations)
        known = {
            "case": case.title,
            "iterations": iterations,
            "baseline_edits_per_second": baseline,
            "rates": [dataclasses.asdict(rate) for rate in rates],
        }
        for row in series(
            generator,
            case,
            lanes=lanes,
            iterations=iterations,
            rates=rates,
            baseline=baseline,
            on_progress=status.update,
        ):
            rows.append(row)  # kept at once: a later one may not fit, or the time run out
            report.write(out, machine, [TABLE], [dataclasses.asdict(each) for each in rows], **known)
    report.finish(console, out, machine, [TABLE], [dataclasses.asdict(each) for each in rows], **known)
    if plot is not None:
        title = f"{case.title}, {iterations} iterations an edit, {machine['device']}"
        points = {
            dtype: [(row.lanes, row.edits_per_second) for row in rows if row.dtype == dtype and row.asked != "auto"]
            for dtype in dtypes
        }
        plot_lanes(plot, points, baseline, title=title)
        console.print(f"plot in {plot}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
