"""This process's resident memory in bytes: now, and at its peak since a mark."""

from __future__ import annotations

import ctypes
import gc
import resource
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def _status(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def current() -> int:
    """Resident memory now; where the system does not tell, the peak so far."""
    return _status("VmRSS:") if _STATUS.exists() else peak()


def peak() -> int:
    """The most since the last `mark`, or since the start where a mark cannot be set."""
    if _STATUS.exists():
        return _status("VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def mark() -> int:
    """Give freed memory back, start a new peak here and return what is resident; `peak() - mark()` is then the use.

    Where the kernel forbids a new peak, an older and higher one would show; callers load what is small first.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library keeps no such reserve
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        _CLEAR.write_text("5")
    return current()
