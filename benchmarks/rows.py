"""The lines of `drag_speed`: what was measured of one side of one case, and how it is shown."""

from __future__ import annotations

import dataclasses

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from .case import Case, Run
from .contestants import Contestant
from .device_rates import Rates
from .flops import total
from .memory import Use


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One side of one case; what compares with the baseline is None on its own line, and where it did not run.

    Attributes:
      first_ms: until the first results were there, compilation included.
      median_ms, fastest_ms, slowest_ms: of an iteration.
      iterations: timed ones.
      speedup: the baseline's median over this one.
      same_handles: iterations from the start whose tracked handles equal the baseline's.
      latent_difference: maximum absolute difference of the latents after the last timed iteration.
      forward_multiply_adds, backward_multiply_adds: of one iteration's convolutions, counted.
      gflops: achieved, 10⁹ floating-point operations a second (two a multiply-add).
      floor_ms: the least that these convolutions can take at the device's measured rates.
      times_floor: the median over it.
      memory_first, memory_again: bytes of a first drag (compilation included) and of a second one above the process
        with its model loaded; None if not measured.
      memory_ratio: memory_first over the baseline's.
    """

    case: str
    title: str
    side: str
    first_ms: float
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    iterations: int
    speedup: float | None
    same_handles: int | None
    latent_difference: float | None
    forward_multiply_adds: int
    backward_multiply_adds: int
    gflops: float
    floor_ms: float
    times_floor: float
    memory_first: int | None
    memory_again: int | None
    memory_ratio: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A contestant's run of a case and its memory (None: not measured)."""

    contestant: Contestant
    run: Run
    memory: Use | None


def row(case: Case, measured: Measured, baseline: Measured | None, rates: Rates) -> Row:
    """Sum up a run, beside the baseline's if it is not that itself."""
    run, memory = measured.run, measured.memory
    work = measured.contestant.work(case)
    floor = rates.floor_ms(work.convolutions)
    rival = None if baseline is None or baseline is measured else baseline
    same, difference, ratio = None, None, None
    if rival is not None:
        common = min(len(run.handles_yx), len(rival.run.handles_yx))
        equal = (run.handles_yx[:common] == rival.run.handles_yx[:common]).all((1, 2)).tolist()
        same = [*equal, False].index(False)
        difference = float(np.abs(run.latents[common - 1] - rival.run.latents[common - 1]).max())
        if memory is not None and rival.memory is not None:
            ratio = memory.first / rival.memory.first
    return Row(
        case=case.name,
        title=case.title,
        side=measured.contestant.name,
        first_ms=run.first_ms,
        median_ms=run.median_ms,
        fastest_ms=float(run.iteration_ms.min()),
        slowest_ms=float(run.iteration_ms.max()),
        iterations=len(run.handles_yx),
        speedup=None if rival is None else rival.run.median_ms / run.median_ms,
        same_handles=same,
        latent_difference=difference,
        forward_multiply_adds=total(work.forward),
        backward_multiply_adds=total(work.backward),
        gflops=2e-6 * work.multiply_adds / run.median_ms,
        floor_ms=floor,
        times_floor=run.median_ms / floor,
        memory_first=None if memory is None else memory.first,
        memory_again=None if memory is None else memory.again,
        memory_ratio=ratio,
    )


def results_console() -> Console:
    """A console wide enough for the tables where it is a file and not a terminal, which has its own width."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def _table(title: str, *headings: str) -> Table:
    shown = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False, padding=(0, 1))
    for heading in ("case", "side"):
        shown.add_column(heading)
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    return shown


def _or_empty(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def speed_table(rows: list[Row]) -> Table:
    """Time, with quality beside it."""
    shown = _table("ms per drag iteration", "first", "median", "range", "speed-up", "handles", "Δ latents")
    for r in rows:
        shown.add_row(
            r.case,
            r.side,
            f"{r.first_ms:.0f}",
            f"{r.median_ms:.1f}",
            f"{r.fastest_ms:.1f}–{r.slowest_ms:.1f}",
            _or_empty(r.speedup, "{:.2f} ×"),
            "" if r.same_handles is None else f"{r.same_handles}/{r.iterations}",
            _or_empty(r.latent_difference, "{:.1e}"),
        )
    return shown


def work_table(rows: list[Row]) -> Table:
    """Work, how far from the floor, and memory."""
    title = "10⁹ multiply-adds forward + backward, floor in ms, MB of a first and a second drag"
    shown = _table(title, "multiply-adds", "GFLOP/s", "floor", "× floor", "MB", "MB ratio")
    for r in rows:
        memory = None if r.memory_first is None or r.memory_again is None else (r.memory_first, r.memory_again)
        shown.add_row(
            r.case,
            r.side,
            f"{r.forward_multiply_adds / 1e9:.2f} + {r.backward_multiply_adds / 1e9:.2f}",
            f"{r.gflops:.0f}",
            f"{r.floor_ms:.1f}",
            f"{r.times_floor:.1f}",
            "" if memory is None else " / ".join(f"{b / 1e6:.0f}" for b in memory),
            _or_empty(r.memory_ratio, "{:.2f}"),
        )
    return shown
