"""How many lanes suit the devices at hand, and how many handles among them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dragspace_jax.device_memory import Device, memory_left

MOST_LANES = 128
"""A device's lanes at most, where `auto` chooses."""
_CPU_LANES = 16  # more share the weights no better, and results come later
_SHARE = 0.8  # of free memory that a batch may take
_ROWS_PER_AVERAGE = 1.6  # measured on FreeDragBench: 93 % of lanes and of rows busy; 1.1 leaves lanes empty


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
    left = [memory_left(device) for device in devices]
    known = [each for each in left if each is not None]
    if len(known) < len(left):
        return None
    shares = len(devices) if devices[0].platform == "cpu" else 1  # simulated devices of one CPU share its memory
    return int(_SHARE * min(known) / shares)
