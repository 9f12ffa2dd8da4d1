"""How long does one drag iteration take, against the published loop?

    python -m benchmarks.drag_speed --cases 512-one,512-mask --iterations 10

Both sides run in this process on the same weights, the same edit and the same cores, warmed up and timed until their
results are there. The table puts quality beside time: a fast loop that drags elsewhere is no win.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dragspace_jax.checkpoint import load, stylegan2_config
from dragspace_jax.errors import DragspaceError

from . import memory, report
from .case import CASES, DEFAULT_CASES, Case, Sample, edits_of, random_model
from .device_rates import Rates
from .device_rates import measure as measure_rates
from .machine import baseline_device, compiling_anew, cores, facts, has_torch, share_accelerator, warn_if_busy
from .rows import TABLES, Measured, Row, row
from .sides import AUTO, IMPLEMENTATION, Side, sides

WARMUP = 2
WITHOUT_TORCH = "the baseline's rows are left out: PyTorch is not installed (pip install 'dragspace-jax[torch]')"


class BenchmarkError(DragspaceError):
    """A benchmark that cannot be run as asked; the message names the choice and what there is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to compare.

    Attributes:
      cases: the edits, by `chosen`.
      sides: the baseline first, if it takes part.
      model: a model folder or an embedded name; None: random weights of each case's size.
      iterations: timed ones of each side.
      with_memory: whether to measure that too, in further processes.
    """

    cases: Sequence[Case]
    sides: Sequence[Side]
    model: str | None
    iterations: int
    with_memory: bool = True


def chosen(option: str, names: str, known: Mapping[str, Any]) -> list[str]:
    """ "a,b" → ["a", "b"], each known. Raises BenchmarkError."""
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise BenchmarkError(f"{option} {name!r} is not known; there are {', '.join(known)}")
    return wanted


def make_plan(
    *, model: str | None, cases: str | None, engines: str, iterations: int, torch: bool, with_memory: bool
) -> Plan:
    """A plan from what a person asked for: names with commas; `cases` None: the default ones, or all of a model.

    Raises:
      BenchmarkError: an unknown case or engine.
      ModelError: the model is not there.
    """
    known = CASES if model is None else edits_of(stylegan2_config(model))
    default = DEFAULT_CASES if model is None else tuple(known)
    names = default if cases is None else chosen("--cases", cases, known)
    return Plan(
        cases=[known[name] for name in names],
        sides=sides(chosen("--engines", engines, IMPLEMENTATION), baseline_device() if torch else None),
        model=model,
        iterations=iterations,
        with_memory=with_memory,
    )


def compare(plan: Plan, rates: Rates, on_progress: Callable[[str], object] = lambda text: None) -> list[Row]:
    """Measure every case on every side; `on_progress` is told what is being done."""
    rows: list[Row] = []
    sample = None if plan.model is None else Sample.of(load(plan.model))
    for case in plan.cases:
        if plan.model is None and (sample is None or sample.model.config != case.config):
            sample = Sample.of(random_model(case.config))
        assert sample is not None  # given or just made
        baseline = None
        for side in (side for side in plan.sides if side.fits(case)):
            on_progress(f"{case.title}: {side.name}")
            run = side.run(sample, case, plan.iterations, WARMUP)
            if plan.with_memory:
                on_progress(f"{case.title}: {side.name}, memory")
            use = memory.measure(case, side, plan.model) if plan.with_memory else None
            measured = Measured(side=side, run=run, memory=use)
            baseline = measured if side.is_baseline else baseline
            rows.append(row(case, measured, baseline, rates))
    return rows


def perform(plan: Plan, threads: int, out: Path) -> None:
    """Run a plan, print its tables and write its numbers; progress goes to the error stream."""
    console = report.results_console()
    with Console(stderr=True).status("measuring the device") as status, compiling_anew():
        machine, rates = facts(threads), measure_rates()
        warn_if_busy(console, machine)
        rows = [dataclasses.asdict(row) for row in compare(plan, rates, status.update)]
    report.finish(console, out, machine, TABLES, rows, rates=dataclasses.asdict(rates))
    console.print(
        f"roofline: {rates.flops / 1e9:.0f} GFLOP/s of a float32 matmul of {rates.matmul_side}, "
        f"{rates.bandwidth / 1e9:.1f} GB/s read"
    )


@click.command(help=__doc__)
@click.option(
    "--cases",
    default=None,
    help=f"With commas: {', '.join(CASES)} [default: {', '.join(DEFAULT_CASES)}]; with --model one, four, mask.",
)
@click.option("--model", default=None, help="A model folder or an embedded model instead of random weights.")
@click.option("--engines", default=AUTO, show_default=True, help="With commas: auto, whole, window.")
@click.option("--iterations", default=10, show_default=True, type=click.IntRange(1), help="Timed ones of each side.")
@click.option("--threads", default=None, type=click.IntRange(1), help="Cores to use, for both sides [default: all].")
@click.option("--torch/--no-torch", default=True, help="Whether the baseline takes part.")
@click.option("--memory/--no-memory", "with_memory", default=True, help="Whether to measure memory too.")
@click.option("--out", default=Path("out/benchmarks/drag_speed.json"), type=click.Path(path_type=Path, dir_okay=False))
def main(
    cases: str | None,
    model: str | None,
    engines: str,
    iterations: int,
    threads: int | None,
    torch: bool,
    with_memory: bool,
    out: Path,
) -> None:
    share_accelerator()
    if torch and not has_torch():
        click.echo(WITHOUT_TORCH)
    try:
        with cores(threads) as count:
            plan = make_plan(
                model=model, cases=cases, engines=engines, iterations=iterations, torch=torch, with_memory=with_memory
            )
            perform(plan, count, out)
    except DragspaceError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
