"""What the numbers of a benchmark depend on besides its code: processor, device, cores, versions, commit."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from rich.console import Console

from dragspace_jax.placement import present_device

PACKAGES = ("dragspace-jax", "jax", "jaxlib", "flax", "numpy", "torch")
BUSY = 0.5
"""Above this load average other programs take part of the cores, and slow the sides by different factors."""


def has_torch() -> bool:
    """Whether the baseline can run here."""
    return importlib.util.find_spec("torch") is not None


def accelerated() -> bool:
    """Whether JAX runs on an accelerator."""
    return present_device().platform != "cpu"


@contextmanager
def cores(most: int | None) -> Iterator[int]:
    """Confine both runtimes to the first `most` of this process's cores while it holds; gives their number.

    Both size their pools by the cores that the process may use, and XLA has no other switch; so this must be entered
    before the first computation. Where a system cannot confine a process, all cores stay.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    chosen = sorted(allowed)[:most]
    torch = importlib.import_module("torch") if has_torch() else None
    before = None if torch is None else torch.get_num_threads()
    if most is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, chosen)
    if torch is not None:
        torch.set_num_threads(len(chosen))
    try:
        yield len(chosen)
    finally:
        if most is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, allowed)
        if torch is not None:
            torch.set_num_threads(before)


def share_accelerator() -> None:
    """Let JAX take an accelerator's memory as it needs it, so that PyTorch finds some; before the first computation."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


@contextmanager
def compiling_anew() -> Iterator[None]:
    """Neither read nor keep compiled programs while it holds: kept ones would hide what compiling takes."""
    before = jax.config.values["jax_enable_compilation_cache"]
    _keep_programs(False)
    try:
        yield
    finally:
        _keep_programs(before)


def _keep_programs(enabled: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", enabled)
    reset_cache()  # JAX looks at the setting once only


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def commit() -> str | None:
    """The source tree's git commit, with `-dirty` if it was changed since; None where there is none."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def warn_if_busy(console: Console, machine: Mapping[str, Any]) -> None:
    """Say so where `facts` were taken beside other programs."""
    if machine["load_average_before"] > BUSY:
        console.print(f"load average {machine['load_average_before']:.1f}: other programs run here", style="yellow")


def baseline_device() -> str | None:
    """Where the baseline runs: `cuda` if JAX is on an accelerator and PyTorch sees a GPU too, else `cpu`, if at all."""
    if not has_torch():
        return None
    return "cuda" if accelerated() and importlib.import_module("torch").cuda.is_available() else "cpu"


def facts(threads: int) -> dict[str, Any]:
    """All of it, as JSON holds it."""
    device = present_device()
    installed = {name: importlib.metadata.version(name) for name in PACKAGES if name != "torch" or has_torch()}
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": f"{device.platform}: {device.device_kind}",
        "devices": jax.local_device_count(),
        "platform": " ".join(device.client.platform_version.split()),
        "baseline_device": baseline_device(),
        "threads": threads,
        "load_average_before": os.getloadavg()[0],
        "commit": commit(),
        "versions": {"python": platform.python_version(), **installed},
    }
