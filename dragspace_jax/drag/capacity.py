"""How many lanes suit the devices at hand."""

from __future__ import annotations

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


def auto_lanes(devices: Sequence[Device]) -> int:
    """Lanes that pay, memory aside. Simulated devices of one CPU share them."""
    return _CPU_LANES if devices[0].platform == "cpu" else MOST_LANES * len(devices)


def free_bytes(devices: Sequence[Device]) -> int | None:
    """Memory that a program may take on each device; None where nobody knows."""
    if devices[0].platform == "cpu":
        available = _available()
        return None if available is None else int(_SHARE * available / len(devices))
    stats = [device.memory_stats() or {} for device in devices]
    if any("bytes_limit" not in each for each in stats):
        return None
    return int(_SHARE * min(each["bytes_limit"] - each.get("bytes_in_use", 0) for each in stats))


def _available() -> int | None:
    """Main memory that can be had without swapping."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None
