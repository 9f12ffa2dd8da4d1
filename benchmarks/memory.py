"""How much memory does one drag take, above the loaded process?

    python -m benchmarks.memory --cases 128-one,256-one,512-one

Each side runs in a process of its own: programs imported, model in memory, then one drag of a few iterations,
compilation included, and a second one. On a CPU the measure is resident memory; on a GPU, what the framework's
allocator handed out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import jax

from dragspace_jax.checkpoint import load, stylegan2_config
from dragspace_jax.placement import present_device

from . import implementation, report, resident
from .case import CASES, Case, Sample, edits_of, random_model
from .machine import accelerated, baseline_device, cores, facts, share_accelerator
from .report import Column, Table
from .sides import Side, sides

ITERATIONS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Use:
    """Bytes at the peak of a drag, above the process with its model loaded.

    Attributes:
      loaded: resident before, programs and model.
      first: of the first drag, compilation included.
      again: of a second drag in the same process.
    """

    loaded: int
    first: int
    again: int


def measure(case: Case, side: Side, model: str | None = None, iterations: int = ITERATIONS) -> Use:
    """Drag in a fresh process.

    Args:
      case: by its name: one of `CASES`, or with `model` one of that model's edits.
      side: whose memory it is.
      model: a model folder or an embedded name; None: random weights of the case's size.
      iterations: of each of the two drags.
    """
    task = {"case": case.name, "side": dataclasses.asdict(side), "model": model, "iterations": iterations}
    command = [sys.executable, "-m", f"{__package__}.memory", "--task"]
    # Kept programs would hide what compiling them takes.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    if present_device().platform != jax.default_backend():  # another was asked for than JAX prefers
        environment["JAX_PLATFORMS"] = present_device().platform
    done = subprocess.run([*command, json.dumps(task)], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"the measuring process of {case.title}, {side.name} failed:\n{done.stderr}")
    return Use(**json.loads(done.stdout.splitlines()[-1]))


def perform(task: dict[str, Any]) -> Use:
    """In the fresh process: load, then drag twice."""
    side = Side(**task["side"])
    if side.torch_device is None:
        return _use(_drag(task, side.engine), _jax_gauge())
    return _use(_baseline_drag(task, side.torch_device), _torch_gauge(side.torch_device))


def _loaded(task: dict[str, Any]) -> tuple[Case, Sample]:
    if task["model"] is None:
        case = CASES[task["case"]]
        return case, Sample.of(random_model(case.config))
    model = load(task["model"])
    return edits_of(model.config)[task["case"]], Sample.of(model)


def _drag(task: dict[str, Any], engine: implementation.Engine | None) -> Callable[[], object]:
    case, sample = _loaded(task)
    return lambda: implementation.drag(sample, case, task["iterations"], engine)


def _baseline_drag(task: dict[str, Any], device: str) -> Callable[[], object]:
    """JAX's network goes with this function's frame, so that the baseline's process holds one as well."""
    from . import baseline

    case, sample = _loaded(task)
    generator, ws0 = baseline.transferred(sample, device), sample.ws0

    def drag() -> None:
        edit = baseline.begin(generator, case, ws0)
        for _ in range(task["iterations"]):
            edit.step()

    return drag


Gauge = tuple[Callable[[], int], Callable[[], int]]
"""(start a new peak and give what is held now, the peak since)."""


def _jax_gauge() -> Gauge:
    if not accelerated():
        return resident.mark, resident.peak
    device = jax.local_devices()[0]  # its peak is that of the whole process, which before the drag held the model alone
    return lambda: device.memory_stats()["bytes_in_use"], lambda: device.memory_stats()["peak_bytes_in_use"]


def _torch_gauge(device: str) -> Gauge:
    if device == "cpu":
        return resident.mark, resident.peak
    import torch

    def mark() -> int:
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()

    return mark, torch.cuda.max_memory_allocated


def _use(drag: Callable[[], object], gauge: Gauge) -> Use:
    mark, peak = gauge
    loaded = mark()
    drag()
    first = peak() - loaded
    mark()
    drag()
    return Use(loaded=loaded, first=first, again=peak() - loaded)


TABLE = Table(
    "memory of a drag above the process with its model loaded",
    [
        Column("case", ["case"]),
        Column("side", ["side"]),
        Column("loaded, MB", ["loaded_mb"], "{:.0f}"),
        Column("first drag, MB more", ["first_mb"], "{:.0f}"),
        Column("second drag, MB more", ["again_mb"], "{:.0f}"),
        Column("first, × baseline", ["first_mb_ratio"], "{:.2f}"),
        Column("second, × baseline", ["again_mb_ratio"], "{:.2f}"),
    ],
)


def rows(cases: Sequence[Case], known: Sequence[Side], model: str | None) -> Iterator[dict[str, Any]]:
    """A row for each side of each case, the baseline first."""
    for case in cases:
        baseline = None
        for side in (side for side in known if side.fits(case)):
            use = measure(case, side, model)
            baseline = use if side.is_baseline else baseline
            compared = None if side.is_baseline else baseline
            yield {
                "case": case.name,
                "title": case.title,
                "side": side.name,
                **{f"{name}_mb": value / 1e6 for name, value in dataclasses.asdict(use).items()},
                "first_mb_ratio": None if compared is None else use.first / compared.first,
                "again_mb_ratio": None if compared is None else use.again / compared.again,
            }


@click.command(help=__doc__)
@click.option("--cases", default=None, help="Names of cases, with commas  [default: 512-one; with --model one].")
@click.option("--model", default=None, help="A model folder or an embedded model instead of random weights.")
@click.option("--engines", default="auto", show_default=True, help="With commas: auto, whole, window.")
@click.option("--out", default=Path("out/benchmarks/memory.json"), type=click.Path(path_type=Path, dir_okay=False))
@click.option("--task", hidden=True, help="What the measuring process shall do, as JSON.")
def main(cases: str | None, model: str | None, engines: str, out: Path, task: str | None) -> None:
    if task is not None:
        print(json.dumps(dataclasses.asdict(perform(json.loads(task)))))
        return
    share_accelerator()
    known = CASES if model is None else edits_of(stylegan2_config(model))
    names = (cases or ("512-one" if model is None else "one")).split(",")
    with cores(None) as count:
        found = list(rows([known[name] for name in names], sides(engines.split(","), baseline_device()), model))
        report.finish(report.results_console(), out, facts(count), [TABLE], found)


if __name__ == "__main__":
    main()
