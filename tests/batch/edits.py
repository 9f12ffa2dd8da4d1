"""Files of edits for the tests of `dragspace batch`, and its results read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def edit(**changes: Any) -> dict[str, Any]:
    return {"seed": 3, "handles": [[12, 14]], "targets": [[20, 14]], **changes}


def write(path: Path, *lines: dict[str, Any] | str | bytes) -> Path:
    encoded = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    path.write_bytes(b"\n".join(encoded) + b"\n")
    return path


def records(out: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    by_id = {line["id"]: line for line in lines}
    assert len(by_id) == len(lines)
    return by_id
