"""The folder of a batch: results.jsonl, a line an edit, and the files that its lines name.

A line is written in one piece once the edit's latents are whole, so whatever ends the program, what the file says is
true; at worst its last line is torn, which the next run drops.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.cli.edit_lines import LineError
from dragspace_jax.cli.errors import UserError
from dragspace_jax.drag import LaneResult, Outcome

INVALID = Outcome.INVALID.label


class Names:
    """Gives every line its id and every edit the stem of its files.

    Args:
      stems: those that are in use.
    """

    def __init__(self, stems: Iterator[str]) -> None:
        self._lines: dict[str, int] = {}
        self._stems = {stem.casefold() for stem in stems}

    def claim(self, name: str | None, number: int) -> str:
        """The id of line `number`: what it names, else one made of the number. Raises LineError if it is taken."""
        if name is None:
            name = f"line-{number:06d}"
            while name in self._lines:
                name += "+"
        elif name in self._lines:
            raise LineError(f"the id {json.dumps(name)} is that of line {self._lines[name]} already")
        self._lines[name] = number
        return name

    def claim_anyhow(self, name: str | None, number: int) -> str:
        """`claim`, where an id that is taken counts as none."""
        return self.claim(None if name in self._lines else name, number)

    def stem(self, name: str) -> str:
        """A name for files that no other edit has, on systems that do not tell A from a either."""
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80].strip(".") or "edit"
        stem, number = safe, self._lines[name]
        while stem.casefold() in self._stems:
            stem, number = f"{safe}-{number}", number + 1
        self._stems.add(stem.casefold())
        return stem


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of an edit while it runs: its line and the stem of its files."""

    line: int
    stem: str


class BatchFolder:
    """Opens DIR for a batch.

    Args:
      out: the folder; it is made.
      resume: go on with what it has. Edits that were invalid are forgotten, as their lines may have been mended.
      overwrite: remove what an earlier batch left.

    Attributes:
      finished: by id, the records that were there already.
      counts: outcomes of all records, those of earlier runs included.

    Raises:
      UserError: the folder has results and neither is given, or they are not a batch's.
    """

    def __init__(self, out: Path, *, resume: bool, overwrite: bool) -> None:
        self.out = out
        self._path = out / "results.jsonl"
        if self._path.exists() and not (resume or overwrite):
            raise UserError(f"{self._path} is there already: --resume goes on with it, --overwrite begins anew")
        for folder in (out, self.latents, self.images):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise UserError(f"--out {out}: no permission to write there")
        (out / "summary.json").unlink(missing_ok=True)  # it would be of another run
        records = list(self._records()) if self._path.exists() else []
        if overwrite:
            for record in records:
                self._remove(record)
            records = []
        records = [record for record in records if "latents" in record and (out / record["latents"]).is_file()]
        self.finished = {record["id"]: record for record in records}
        self.counts = Counter(record["outcome"] for record in records)
        staging = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        staging.write_bytes(b"".join(map(_line, records)))
        staging.replace(self._path)
        self._file = self._path.open("ab", buffering=0)  # a record is one write, whole or not there

    @property
    def latents(self) -> Path:
        return self.out / "latents"

    @property
    def images(self) -> Path:
        return self.out / "images"

    def stems(self) -> Iterator[str]:
        """Stems of the files that the finished records name."""
        return (Path(record["latents"]).stem for record in self.finished.values())

    def close(self) -> None:
        self._file.close()

    def write_invalid(self, name: str, line: int, reason: str) -> None:
        """Record a line that is no edit, or one that cannot run."""
        self._append({"id": name, "line": line, "outcome": INVALID, "reason": " ".join(reason.split())})

    def write(self, result: LaneResult, entry: Entry, *, image: bool) -> None:
        """Keep a finished edit's latents, then record it."""
        if result.outcome == Outcome.INVALID:
            self.write_invalid(result.id, entry.line, result.reason or "")
            return
        assert result.ws is not None  # only invalid edits have none
        assert result.handles_yx is not None
        np.savez(self.latents / f"{entry.stem}.npz", ws=result.ws)
        files = {"latents": f"latents/{entry.stem}.npz"} | ({"image": f"images/{entry.stem}.png"} if image else {})
        self._append(
            {
                "id": result.id,
                "line": entry.line,
                "outcome": result.outcome.label,
                "steps": result.steps,
                "distances_px": [_rounded(distance) for distance in result.distances],
                "handles_xy": [[_rounded(x), _rounded(y)] for y, x in result.handles_yx],
                "seconds": _rounded(result.seconds),
                **files,
            }
        )

    def _append(self, record: dict[str, Any]) -> None:
        self._file.write(_line(record))
        self.counts[record["outcome"]] += 1

    def _records(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    record = json.loads(raw)
                    if not _is_record(record):
                        raise ValueError
                except (ValueError, RecursionError) as error:
                    if not raw.endswith(b"\n"):
                        return  # the program ended while it wrote this line
                    raise UserError(f"{self._path}, line {number}: not a result of a batch") from error
                yield record

    def _remove(self, record: dict[str, Any]) -> None:
        for folder, key in ((self.latents, "latents"), (self.images, "image")):
            if key in record:
                (folder / Path(record[key]).name).unlink(missing_ok=True)


def _is_record(record: Any) -> bool:
    """Whether it is a result with files inside the batch's folder, if with any."""
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in ("id", "outcome")):
        return False
    if "latents" in record and "handles_xy" not in record:
        return False
    named = {key: record[key] for key in ("latents", "image") if key in record}
    patterns = {"latents": r"latents/[A-Za-z0-9._-]+\.npz", "image": r"images/[A-Za-z0-9._-]+\.png"}
    return all(isinstance(name, str) and re.fullmatch(patterns[key], name) for key, name in named.items())


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _rounded(number: float) -> float | None:
    """JSON has no number for what is not finite."""
    return round(float(number), 3) if math.isfinite(number) else None
