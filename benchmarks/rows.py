"""The rows of `drag_speed`: what was measured of one side of one case, and its tables."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from .case import Case, Run
from .device_rates import Rates
from .flops import total
from .memory import Use
from .report import Column, Table
from .sides import Side


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One side of one case; what compares with the baseline is None on its own row, and where it did not run.

    Attributes:
      first_ms: until the first results were there, compilation included.
      median_ms, fastest_ms, slowest_ms: of an iteration.
      iterations: timed ones.
      speedup: the baseline's median over this one.
      compile_seconds: what the first drag took beyond a later one.
      pays_after: iterations of one drag after which it is ahead of the baseline in spite of compiling.
      same_handles: iterations from the start whose tracked handles equal the baseline's.
      latent_difference: maximum absolute difference of the latents after the last timed iteration.
      forward_gmac, backward_gmac: 10⁹ multiply-adds of one iteration's convolutions, counted.
      gflops: achieved, 10⁹ floating-point operations a second (two per multiply-add).
      roofline_ms: the least that these convolutions can take at the device's measured rates.
      times_roofline: the median over it.
      first_mb, again_mb: memory of a first drag (compilation included) and of a second one above the process with its
        model loaded, in 10⁶ bytes; None if not measured.
      first_mb_ratio, again_mb_ratio: those over the baseline's.
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
    compile_seconds: float
    pays_after: int | None
    same_handles: int | None
    latent_difference: float | None
    forward_gmac: float
    backward_gmac: float
    gflops: float
    roofline_ms: float
    times_roofline: float
    first_mb: float | None
    again_mb: float | None
    first_mb_ratio: float | None
    again_mb_ratio: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A side's run of a case and its memory (None: not measured)."""

    side: Side
    run: Run
    memory: Use | None


def pays_after(run: Run, baseline: Run) -> int | None:
    """The first iteration of a drag after which `run` is ahead, both sides' compiling counted; None: never."""
    gained = (baseline.median_ms - run.median_ms) / 1e3
    if gained <= 0:
        return None
    return max(1, math.ceil((run.compile_seconds - baseline.compile_seconds) / gained))


def row(case: Case, measured: Measured, baseline: Measured | None, rates: Rates) -> Row:
    """Sum up a run, beside the baseline's if it is not that itself."""
    run, memory = measured.run, measured.memory
    work = measured.side.work(case)
    roofline = rates.roofline_ms(work.convolutions)
    other = None if baseline is None or baseline is measured else baseline
    same, difference, first_ratio, again_ratio = None, None, None, None
    if other is not None:
        common = min(len(run.handles_yx), len(other.run.handles_yx))
        equal = (run.handles_yx[:common] == other.run.handles_yx[:common]).all((1, 2)).tolist()
        same = [*equal, False].index(False)
        difference = float(np.abs(run.latents[common - 1] - other.run.latents[common - 1]).max())
        if memory is not None and other.memory is not None:
            first_ratio, again_ratio = memory.first / other.memory.first, memory.again / other.memory.again
    return Row(
        case=case.name,
        title=case.title,
        side=measured.side.name,
        first_ms=run.first_ms,
        median_ms=run.median_ms,
        fastest_ms=float(run.iteration_ms.min()),
        slowest_ms=float(run.iteration_ms.max()),
        iterations=len(run.handles_yx),
        speedup=None if other is None else other.run.median_ms / run.median_ms,
        compile_seconds=run.compile_seconds,
        pays_after=None if other is None else pays_after(run, other.run),
        same_handles=same,
        latent_difference=difference,
        forward_gmac=total(work.forward) / 1e9,
        backward_gmac=total(work.backward) / 1e9,
        gflops=2e-6 * work.multiply_adds / run.median_ms,
        roofline_ms=roofline,
        times_roofline=run.median_ms / roofline,
        first_mb=None if memory is None else memory.first / 1e6,
        again_mb=None if memory is None else memory.again / 1e6,
        first_mb_ratio=first_ratio,
        again_mb_ratio=again_ratio,
    )


CASE = (Column("case", ["case"]), Column("side", ["side"]))
TABLES = (
    Table(
        "time of a drag iteration, and quality",
        [
            *CASE,
            Column("first, ms", ["first_ms"], "{:.0f}"),
            Column("median, ms", ["median_ms"], "{:.1f}"),
            Column("range, ms", ["fastest_ms", "slowest_ms"], "{:.1f}–{:.1f}"),
            Column("speed-up", ["speedup"], "{:.2f}×"),
            Column("compile s", ["compile_seconds"], "{:.1f}"),
            Column("pays after N iterations", ["pays_after"], "{:.0f}"),
            Column("same handles", ["same_handles", "iterations"], "{}/{}"),
            Column("Δ latents", ["latent_difference"], "{:.1e}"),
        ],
    ),
    Table(
        "work, roofline, and memory of a first and a second drag",
        [
            *CASE,
            Column("10⁹ multiply-adds", ["forward_gmac", "backward_gmac"], "{:.2f} + {:.2f}"),
            Column("GFLOP/s", ["gflops"], "{:.0f}"),
            Column("roofline, ms", ["roofline_ms"], "{:.1f}"),
            Column("× roofline", ["times_roofline"], "{:.1f}"),
            Column("first, MB", ["first_mb"], "{:.0f}"),
            Column("second, MB", ["again_mb"], "{:.0f}"),
            Column("first, × baseline", ["first_mb_ratio"], "{:.2f}"),
            Column("second, × baseline", ["again_mb_ratio"], "{:.2f}"),
        ],
    ),
)
