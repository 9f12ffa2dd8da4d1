"""Everything that only a GPU can tell, in one command that can be ended and started again.

    python -m scripts.on_gpu                      # all steps that have not finished yet, the most valuable first
    python -m scripts.on_gpu --minutes 10         # no longer than that; the next call goes on
    python -m scripts.on_gpu --list
    python -m scripts.on_gpu --only parity --only lanes
    JAX_PLATFORMS=cpu python -m scripts.on_gpu --dry-run --out out/gpu-dry

It needs a GPU, `pip install -e '.[cuda13,convert,dev]'`, and the top of the repository as its folder. Every step is a
process of its own, ended after ten minutes; how it ended is kept under `--out` and written to `benchmarks/gpu.md` and
`benchmarks/gpu.jsonl` at once, so that nothing is lost with the machine. A step that is done is not run again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from dragspace_jax.benchmarks.case import random_model
from dragspace_jax.checkpoint import save_parameters
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.stylegan2.config import GeneratorConfig
from scripts.gpu import running, tables
from scripts.gpu.steps import MINUTES, STEPS, Step

STATE = "state.json"
PROBE = (
    "import json; from dragspace_jax.benchmarks.machine import facts, accelerated; "
    "print(json.dumps({**facts(1), 'accelerated': accelerated()}))"
)
NO_GPU = (
    "JAX sees no GPU here, only {device}. Install the build for one (pip install 'dragspace-jax[cuda13]'), or try the "
    "plan on a tiny model with --dry-run."
)


def load_state(path: Path) -> dict[str, running.Result]:
    """How steps ended so far. Raises click.ClickException if the file is something else."""
    if not path.exists():
        return {}
    try:
        return {name: running.Result(**result) for name, result in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise click.ClickException(f"{path} does not hold the state of a run ({error}); take another --out") from error


def save_state(path: Path, results: dict[str, running.Result]) -> None:
    """Replace the file as a whole: a run that is killed meanwhile leaves the old one."""
    staging = path.with_suffix(".part")
    staging.write_text(json.dumps({name: dataclasses.asdict(result) for name, result in results.items()}) + "\n")
    staging.replace(path)


def probe() -> dict[str, Any]:
    """The machine as a step will see it; asked of another process: this one shall hold none of the GPU's memory."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"JAX does not start:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def gpu_environment(machine: dict[str, Any], out: Path) -> dict[str, str]:
    """The tests take a CPU unless told otherwise; both frameworks share the memory; compiled programs are kept."""
    platform = "cuda" if "cuda" in machine["platform"].lower() else "rocm"
    return {
        "JAX_PLATFORMS": f"{platform},cpu",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_COMPILATION_CACHE_DIR": str((out / "compiled").resolve()),
    }


def tiny_model(folder: Path) -> str:
    """An 8 px model with random weights, for dry runs."""
    model = random_model(GeneratorConfig(resolution=8, channels=(8, 8), z_dim=8, w_dim=8, mapping_layers=1))
    values = {name: np.asarray(value) for name, value in parameters(model).items()}
    save_parameters(folder / "tiny", model.config, values, source={"format": "random"})
    return str(folder / "tiny")


def show(console: Console, steps: list[Step], results: dict[str, running.Result]) -> None:
    """The steps, and how they stand."""
    shown = Table("step", "minutes", "stands", "what it tells", "command", box=box.SIMPLE)
    for step in steps:
        stands = results[step.name].outcome if step.name in results else ""
        command = f"python -m {step.module} {step.arguments}".strip()
        shown.add_row(step.name, f"≤ {step.minutes}", stands, step.question, command)
    console.print(shown)


@click.command(help=__doc__)
@click.option("--list", "listing", is_flag=True, help="Show the steps and how they stand.")
@click.option("--only", multiple=True, type=click.Choice([step.name for step in STEPS]), help="Steps; repeat it.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="To take at most [default: no limit].")
@click.option("--dry-run", is_flag=True, help="All steps on a tiny model, on any device; the tables go to --out.")
@click.option("--out", default=Path("out/gpu"), show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--tables", "folder", default=Path("benchmarks"), show_default=True, type=click.Path(path_type=Path))
def main(listing: bool, only: tuple[str, ...], minutes: float | None, dry_run: bool, out: Path, folder: Path) -> None:
    console = Console(width=160) if not Console().is_terminal else Console()
    began, out = time.monotonic(), out.resolve()
    results = load_state(out / STATE)
    steps = [step for step in STEPS if not only or step.name in only]
    if listing:
        show(console, steps, results)
        return
    environment = {}
    if not dry_run:
        machine = probe()
        if not machine["accelerated"]:
            raise click.ClickException(NO_GPU.format(device=machine["device"]))
        if machine["baseline_device"] != "cuda":
            console.print(f"the baseline runs on {machine['baseline_device']}: PyTorch sees no GPU", style="yellow")
        environment = gpu_environment(machine, out)
        console.print(f"{machine['device']}, {machine['platform']}", highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as models:
        tiny = tiny_model(Path(models)) if dry_run else None
        for step in steps:
            if step.name in results and results[step.name].outcome == running.DONE:
                console.print(f"{step.name}: done before", highlight=False)
                continue
            left = 60 * MINUTES if minutes is None else 60 * minutes - (time.monotonic() - began)
            if not dry_run and left < 60 * step.minutes:
                console.print(f"{step.name}: needs {step.minutes} minutes; left for the next call", highlight=False)
                continue
            console.print(f"{step.name}: {step.question}", highlight=False)
            limit = min(left, 60 * MINUTES)
            results[step.name] = result = running.run(step, out, seconds=limit, environment=environment, tiny=tiny)
            save_state(out / STATE, results)
            written = tables.write(out if dry_run else folder, results)
            console.print(f"  {result.outcome} after {result.seconds:.0f} s", highlight=False)
            if result.numbers is None or result.outcome != running.DONE:
                console.print(result.said, highlight=False, markup=False, soft_wrap=True)
            console.print(f"  tables in {written[0]}", highlight=False, soft_wrap=True)
    if any(name in results and results[name].outcome != running.DONE for name in (step.name for step in steps)):
        raise click.ClickException(f"some steps failed; their logs are in {os.path.relpath(out)}")


if __name__ == "__main__":
    main()
