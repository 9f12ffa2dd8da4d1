"""How much memory does one drag take, above the loaded process?

    python -m benchmarks.memory --cases 512-one

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
from collections.abc import Callable
from typing import Any

import click
import jax
from rich import box
from rich.console import Console
from rich.table import Table

from dragspace_jax.checkpoint import load

from . import ours, resident
from .case import CASES, Case, Subject, edits_of, random_model
from .contestants import Contestant, contestants
from .machine import accelerated, has_torch, share_accelerator

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


def measure(case: Case, contestant: Contestant, model: str | None = None, iterations: int = ITERATIONS) -> Use:
    """Drag in a fresh process.

    Args:
      case: by its name: one of `CASES`, or with `model` one of that model's edits.
      contestant: whose memory it is.
      model: a model folder or an embedded name; None: random weights of the case's size.
      iterations: of each of the two drags.
    """
    task = {"case": case.name, "contestant": dataclasses.asdict(contestant), "model": model, "iterations": iterations}
    command = [sys.executable, "-m", f"{__package__}.memory", "--task"]
    # Kept programs would hide what compiling them takes.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run([*command, json.dumps(task)], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"the measuring process of {case.title}, {contestant.name} failed:\n{done.stderr}")
    return Use(**json.loads(done.stdout.splitlines()[-1]))


def _perform(task: dict[str, Any]) -> Use:
    """In the fresh process: load, then drag twice."""
    contestant = Contestant(**task["contestant"])
    if contestant.torch_device is None:
        return _use(_our_drag(task, contestant.engine), _jax_gauge())
    return _use(_published_drag(task, contestant.torch_device), _torch_gauge(contestant.torch_device))


def _loaded(task: dict[str, Any]) -> tuple[Case, Subject]:
    if task["model"] is None:
        case = CASES[task["case"]]
        return case, Subject.of(random_model(case.config))
    model = load(task["model"])
    return edits_of(model.config)[task["case"]], Subject.of(model)


def _our_drag(task: dict[str, Any], engine: ours.Engine | None) -> Callable[[], object]:
    case, subject = _loaded(task)
    return lambda: ours.drag(subject, case, task["iterations"], engine)


def _published_drag(task: dict[str, Any], device: str) -> Callable[[], object]:
    """Our network goes with this function's frame, so that the rival's process holds one as well."""
    from . import torch_baseline

    case, subject = _loaded(task)
    generator, ws0 = torch_baseline.transferred(subject, device), subject.ws0

    def drag() -> None:
        edit = torch_baseline.begin(generator, case, ws0)
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


@click.command(help=__doc__)
@click.option("--cases", default="512-one", show_default=True, help="Names of cases, with commas.")
@click.option("--engines", default="auto", show_default=True, help="Our engines, with commas: auto, whole, window.")
@click.option("--task", hidden=True, help="What the measuring process shall do, as JSON.")
def main(cases: str, engines: str, task: str | None) -> None:
    if task is not None:
        print(json.dumps(dataclasses.asdict(_perform(json.loads(task)))))
        return
    share_accelerator()
    sides = contestants(engines.split(","), "cpu" if has_torch() else None)
    table = Table("case", "side", "loaded, MB", "first drag, MB more", "second drag, MB more", box=box.SIMPLE)
    for case in (CASES[name] for name in cases.split(",")):
        for side in sides:
            use = measure(case, side)
            table.add_row(case.title, side.name, *(f"{b / 1e6:.0f}" for b in dataclasses.astuple(use)))
    Console().print(table)


if __name__ == "__main__":
    main()
