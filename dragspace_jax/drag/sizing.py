"""How many lanes suit the devices at hand, and how many handles among them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Device = Any
"""`jax.Device`, which type checkers cannot see."""
MOST_LANES = 128
"""A device's lanes at most, where `auto` chooses."""
_CPU_LANES = 16  # more share the weights no better, and results come later
_SHARE = 0.8  # of free memory that a batch may take
_ROWS_PER_AVERAGE = 1.6  # measured on FreeDragBench: 93 % of lanes and of rows busy; 1.1 leaves lanes empty
# A container's limit and what it uses: cgroup v2, then v1.
_CGROUPS = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def auto_lanes(devices: Sequence[Device]) -> int:
    """Lanes that pay, memory aside. Simulated devices of one CPU share them."""
    return _CPU_LANES if devices[0].platform == "cpu" else MOST_LANES * len(devices)


def rows_for(handles: Sequence[int], lanes: int, devices: int) -> int:
    """Rows of handles for so many lanes, with room for the greatest of the waiting edits on any device.

    More than an edit has on average: edits of many handles take more iterations, so they are met in lanes more often.

    Args:
      handles: numbers of handles of the edits that wait.
      lanes: number B of lanes.
      devices: among how many devices they are divided.
    """
    counts = sorted(handles, reverse=True)
    usual = math.ceil(_ROWS_PER_AVERAGE * lanes * sum(counts) / len(counts))
    most = sum(counts[:lanes]) if len(counts) >= lanes else counts[0] * lanes
    rows = min(usual, most)
    return max(multiple(rows, 4 * devices if rows > 4 * devices else devices), counts[0] * devices)


def multiple(count: int, of: int) -> int:
    """`count`, rounded up."""
    return -(-count // of) * of


def free_bytes(devices: Sequence[Device]) -> int | None:
    """Memory that a program may take on each device; None where nobody knows."""
    if devices[0].platform == "cpu":
        available = available_memory()
        return None if available is None else int(_SHARE * available / len(devices))
    stats = [device.memory_stats() or {} for device in devices]
    if any("bytes_limit" not in each for each in stats):
        return None
    return int(_SHARE * min(each["bytes_limit"] - each.get("bytes_in_use", 0) for each in stats))


def available_memory(root: Path = Path("/")) -> int | None:
    """Main memory that can be had without swapping, within the limit of a container; None where nobody knows.

    Args:
      root: of the file system that the kernel's files are under.
    """
    known = [amount for amount in (_machine(root), _container(root)) if amount is not None]
    return min(known, default=None)


def _machine(root: Path) -> int | None:
    meminfo = root / "proc/meminfo"
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _container(root: Path) -> int | None:
    """What a control group leaves; None without one, or without a limit."""
    for limit, usage in _CGROUPS:
        try:
            return max(0, int((root / limit).read_text()) - int((root / usage).read_text()))
        except (OSError, ValueError):  # no such group, or no limit, which v2 writes as `max`
            continue
    return None
