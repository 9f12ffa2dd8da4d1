"""Memory that lanes may take: the machine's, and a container's limit where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragspace_jax.device_memory import available_memory

V1 = {"sys/fs/cgroup/memory/memory.limit_in_bytes": "3000", "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000"}
V2 = {"sys/fs/cgroup/memory.max": "5000", "sys/fs/cgroup/memory.current": "1000"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8 * 1024),
        (V1, 2000),
        (V2, 4000),
        ({**V2, "sys/fs/cgroup/memory.max": "max"}, 8 * 1024),
        ({**V2, "sys/fs/cgroup/memory.max": "99999999"}, 8 * 1024),
        ({**V2, "sys/fs/cgroup/memory.current": "6000"}, 0),
    ],
    ids=["no container", "v1", "v2", "no limit", "more than there is", "over its limit"],
)
def test_available_memory(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in {"proc/meminfo": "MemTotal: 16 kB\nMemAvailable:  8 kB\n", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == expected
