"""How long does one drag iteration take, against the published loop?

    python -m benchmarks.drag_speed --cases 512-one,512-mask --iterations 10

All sides run in this process on the same weights, the same edit and the same cores, warmed up and timed until their
results are there. The table puts quality beside time: a fast loop that drags elsewhere is no win.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dragspace_jax.checkpoint import load, read_card
from dragspace_jax.errors import DragspaceError

from . import memory
from .case import CASES, Case, Subject, edits_of, random_model
from .contestants import AUTO, OURS, Contestant, contestants
from .device_rates import Rates
from .device_rates import measure as measure_rates
from .machine import BUSY, accelerated, cores, facts, has_torch, share_accelerator
from .rows import Measured, Row, results_console, row, speed_table, work_table

WARMUP = 2
WITHOUT_TORCH = (
    "the published loop's rows are left out: PyTorch is not installed (pip install 'dragspace-jax[convert]')"
)


class BenchmarkError(DragspaceError):
    """A benchmark that cannot be run as asked; the message names the choice and what there is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to compare.

    Attributes:
      cases: the edits, by `chosen`.
      sides: who takes part, the baseline first.
      model: a model folder or an embedded name; None: random weights of each case's size.
      iterations: timed ones of each side.
      with_memory: whether to measure that too, in further processes.
    """

    cases: Sequence[Case]
    sides: Sequence[Contestant]
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
    """A plan from what a person asked for: names with commas; `cases` None is all there are.

    Raises:
      BenchmarkError: an unknown case or engine.
      ModelError: the model is not there.
    """
    known = CASES if model is None else edits_of(read_card(model).generator)
    names = list(known) if cases is None else chosen("--cases", cases, known)
    device = None
    if torch and has_torch():
        from . import torch_baseline

        device = torch_baseline.default_device(accelerated())
    return Plan(
        cases=[known[name] for name in names],
        sides=contestants(chosen("--engines", engines, OURS), device),
        model=model,
        iterations=iterations,
        with_memory=with_memory,
    )


def compare(plan: Plan, rates: Rates, say: Callable[[str], object] = lambda text: None) -> list[Row]:
    """Measure every case on every side; `say` is told what is being done."""
    rows: list[Row] = []
    subject = None if plan.model is None else Subject.of(load(plan.model))
    for case in plan.cases:
        if plan.model is None and (subject is None or subject.model.config != case.config):
            subject = Subject.of(random_model(case.config))
        assert subject is not None  # given or just made
        baseline = None
        for side in (side for side in plan.sides if side.fits(case)):
            say(f"{case.title}: {side.name}")
            run = side.run(subject, case, plan.iterations, WARMUP)
            if plan.with_memory:
                say(f"{case.title}: {side.name}, memory")
            use = memory.measure(case, side, plan.model) if plan.with_memory else None
            measured = Measured(contestant=side, run=run, memory=use)
            baseline = measured if side.is_baseline else baseline
            rows.append(row(case, measured, baseline, rates))
    return rows


def report(plan: Plan, threads: int, out: Path, console: Console) -> None:
    """Run a plan, print its tables and write its numbers; progress goes to the error stream."""
    with Console(stderr=True).status("measuring the device") as status:
        machine, rates = facts(threads), measure_rates()
        if machine["load_average_before"] > BUSY:
            console.print(f"load average {machine['load_average_before']:.1f}: other programs run here", style="yellow")
        rows = compare(plan, rates, status.update)
    console.print(speed_table(rows), work_table(rows))
    console.print(
        f"floor: {rates.flops / 1e9:.0f} GFLOP/s of a float32 matmul of {rates.matmul_side}, "
        f"{rates.bandwidth / 1e9:.1f} GB/s read"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    numbers = {"machine": machine, "rates": dataclasses.asdict(rates), "rows": [dataclasses.asdict(r) for r in rows]}
    out.write_text(json.dumps(numbers, indent=2) + "\n")
    console.print(f"numbers in {out}", highlight=False, soft_wrap=True)


@click.command(help=__doc__)
@click.option(
    "--cases", default=None, help=f"With commas [default: all]: {', '.join(CASES)}; with --model one, four, mask."
)
@click.option("--model", default=None, help="A model folder or an embedded model instead of random weights.")
@click.option("--engines", default=AUTO, show_default=True, help="Our engines, with commas: auto, whole, window.")
@click.option("--iterations", default=10, show_default=True, type=click.IntRange(1), help="Timed ones of each side.")
@click.option("--threads", default=None, type=click.IntRange(1), help="Cores to use, for both sides [default: all].")
@click.option("--torch/--no-torch", default=True, help="Whether the published loop takes part.")
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
    console = results_console()
    if torch and not has_torch():
        console.print(WITHOUT_TORCH, highlight=False, markup=False, soft_wrap=True)
    try:
        with cores(threads) as count:
            plan = make_plan(
                model=model, cases=cases, engines=engines, iterations=iterations, torch=torch, with_memory=with_memory
            )
            report(plan, count, out, console)
    except DragspaceError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
