"""How much memory a device has left: accelerators are asked, a CPU's is the machine's within a container's limit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

Device = Any
"""`jax.Device`, which type checkers cannot see."""
# A container's limit and what it uses: cgroup v2, then v1.
_CGROUPS = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def memory_left(device: Device) -> int | None:
    """Bytes that can be had on a device; simulated devices of one CPU all tell the machine's. None: nobody knows."""
    if device.platform == "cpu":
        return available_memory()
    stats = device.memory_stats() or {}
    return max(0, stats["bytes_limit"] - stats.get("bytes_in_use", 0)) if "bytes_limit" in stats else None


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
