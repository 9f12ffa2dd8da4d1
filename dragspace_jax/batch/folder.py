"""The folder of a batch: results.jsonl, a line an edit, and the files that its lines name.

A line is written in one piece once the edit's latents are on the disk, so whatever ends the program, what the file says
is true; at worst its last line is torn, which the next run drops.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dragspace_jax.batch.resume import Earlier
from dragspace_jax.drag import DragResult, Outcome
from dragspace_jax.folders import append, make_folder, whole_file
from dragspace_jax.results import write_latents

INVALID = Outcome.INVALID.label
UNREADABLE = "results-unreadable.jsonl"
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of a line while it runs.

    Attributes:
      id: its name.
      line: its number.
      digest: of what its result depends on.
      stem: of its files.
    """

    id: str
    line: int
    digest: str
    stem: str = ""


class BatchFolder:
    """Opens a folder for a batch; no other run may write there meanwhile.

    Lines that an earlier run left and that are no results are set aside into a file of their own, which is said once.

    Args:
      earlier: what is there.
      model: fingerprint of the model that the edits are of.
      overwrite: remove that. Else go on with it; edits that were invalid are forgotten then, as their lines may have
        been mended, and so are those whose latents are damaged.

    Attributes:
      finished: by id, the records that were there already.
      counts: outcomes of all records, those of earlier runs included.
      flagged: how many of them their quality flags.
      steps: iterations of all of them together.

    Raises:
      FolderError, OSError: nothing can be written there.
    """

    def __init__(self, earlier: Earlier, model: str, *, overwrite: bool) -> None:
        self.out, self._model, self._path = earlier.out, model, earlier.path
        for folder in (self.out, self.latents, self.images):
            make_folder(folder)
        if overwrite:
            for record in earlier.records:
                self._remove(record)
        else:
            self._tell(earlier)
        records = [] if overwrite else earlier.finished(model)
        self.finished = {record["id"]: record for record in records}
        self.counts = Counter(record["outcome"] for record in records)
        self.flagged = sum(_flagged(record) for record in records)
        self.steps = sum(_steps(record) for record in records)
        with whole_file(self._path) as file:
            file.write(b"".join(map(_line, records)))
        if overwrite:
            (self.out / "summary.json").unlink(missing_ok=True)
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

    def write_invalid(self, entry: Entry, reason: str) -> dict[str, Any]:
        """Record a line that is no edit, or one that cannot run; gives the record."""
        return self._append(entry, {"outcome": INVALID, "reason": " ".join(reason.split())})

    def write(self, result: DragResult, entry: Entry, quality: Mapping[str, Any], *, image: bool) -> dict[str, Any]:
        """Keep a finished edit's latents, before and after it, then record it, with the key `quality` if it has one.

        Returns:
          The record.
        """
        if result.outcome == Outcome.INVALID:
            return self.write_invalid(entry, result.reason or "")
        assert result.handles_yx is not None  # only invalid edits have none
        write_latents(self.latents / f"{entry.stem}.npz", result.latents, result.start, self._model)
        files = {"latents": f"latents/{entry.stem}.npz"} | ({"image": f"images/{entry.stem}.png"} if image else {})
        return self._append(
            entry,
            {
                "outcome": result.outcome.label,
                "steps": result.steps,
                "distances_px": [_rounded(distance) for distance in result.distances],
                "handles_xy": [[_rounded(x), _rounded(y)] for y, x in result.handles_yx],
                "seconds": _rounded(result.seconds),
                **quality,
                **files,
            },
        )

    def _append(self, entry: Entry, record: dict[str, Any]) -> dict[str, Any]:
        record = {"id": entry.id, "line": entry.line, "digest": entry.digest, **record}
        append(self._file, self._path, _line(record))
        self.counts[record["outcome"]] += 1
        self.flagged += _flagged(record)
        self.steps += _steps(record)
        return record

    def _tell(self, earlier: Earlier) -> None:
        """Set aside what cannot be read, and say what is dropped."""
        if earlier.unreadable:
            aside = self.out / UNREADABLE
            kept = aside.read_bytes() if aside.is_file() else b""
            with whole_file(aside) as file:
                file.write(kept + b"".join(raw.rstrip(b"\n") + b"\n" for raw in earlier.unreadable))
            _log.warning(
                "%d lines of %s cannot be read; they are set aside in %s, and their edits run again",
                len(earlier.unreadable), self._path, UNREADABLE,
            )  # fmt: skip
        if earlier.repeated:
            _log.warning("%d results stood twice in %s; each counts once", earlier.repeated, self._path)
        ended = sum("latents" in record for record in earlier.records)
        damaged = ended - len(earlier.finished(self._model))
        if damaged:
            _log.warning("the latents of %d finished edits are missing or damaged; they run again", damaged)

    def _remove(self, record: dict[str, Any]) -> None:
        for folder, key in ((self.latents, "latents"), (self.images, "image")):
            if key in record:
                (folder / Path(record[key]).name).unlink(missing_ok=True)


def _steps(record: dict[str, Any]) -> int:
    """Iterations of a record, which may be damaged."""
    steps = record.get("steps")
    return steps if isinstance(steps, int) else 0


def _flagged(record: dict[str, Any]) -> bool:
    """Whether a record's quality flags it; those of earlier versions have none."""
    quality = record.get("quality")
    return isinstance(quality, dict) and quality.get("flagged") is True


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _rounded(number: float) -> float | None:
    """JSON has no number for what is not finite."""
    return round(float(number), 3) if math.isfinite(number) else None
