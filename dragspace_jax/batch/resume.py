"""What an earlier run left in a batch's folder, and whether it is of the same batch; nothing is changed here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from dragspace_jax.folders import FolderError, refuse_results
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.results import latents_are_whole
from dragspace_jax.stylegan2 import Generator

_BEGINNING = b'{"id": '  # of every record, so that a torn one is told from a file of something else


class Digests:
    """Short hashes of what the result of a line depends on: the line, the model, what it is dragged with.

    Files that a line names count by name only: they may be gone when a batch goes on.

    Args:
      model: the generator.
      options: all that say how edits are dragged where lines do not.
    """

    def __init__(self, model: Generator, options: Mapping[str, Any]) -> None:
        self._common = hashlib.sha256(json.dumps([fingerprint(model), options], sort_keys=True).encode())

    def of(self, raw: bytes) -> str:
        digest = self._common.copy()
        digest.update(raw.strip())
        return digest.hexdigest()[:16]


class Earlier:
    """Reads the results that are in a folder.

    Args:
      out: the folder, or where it will be.
      resume, overwrite: whether results may be there, to go on with or to be removed.

    Attributes:
      path: of results.jsonl.
      is_batch: whether it is there.
      records: what it holds, of each id the last; a last line that is torn is not among them.
      unreadable: lines among them that are no results, as a power cut leaves.
      repeated: how many results stood there again.
      job: number and times of all runs so far, of summary.json; empty if it is not there.

    Raises:
      FolderError: there are results and neither is given, or the folder's files are not a batch's.
    """

    def __init__(self, out: Path, *, resume: bool, overwrite: bool) -> None:
        self.out = out
        self.path = out / "results.jsonl"
        self.is_batch = self.path.exists()
        refuse_results([self.path], overwrite=resume or overwrite, may_resume=True)
        if not self.is_batch and (out / "summary.json").exists():
            raise FolderError(
                f"{out / 'summary.json'} is there without the results of a batch, and would be lost: "
                "move it away, or give another `out`",
                field="out",
            )
        self.unreadable: list[bytes] = []
        records = list(self._read()) if self.is_batch else []
        if self.unreadable and not records:
            raise FolderError(f"{self.path}, line 1: not a result of a batch")
        by_id = {record["id"]: record for record in records}
        self.records = list(by_id.values())
        self.repeated = len(records) - len(by_id)
        self.job = _job(out / "summary.json") if self.is_batch else {}

    def finished(self, model: str) -> list[dict[str, Any]]:
        """The records of edits that ended and whose latents are whole, of the model with this fingerprint."""
        return [
            record
            for record in self.records
            if "latents" in record and latents_are_whole(self.out / record["latents"], model)
        ]

    def check_same(self, lines: Iterable[tuple[str, str]]) -> None:
        """Compare edits that ended with the ids and digests of all lines.

        Raises:
          FolderError: one has no line any more, or its line, the model or an option is another now.
        """
        ended = {record["id"]: record.get("digest") for record in self.records if "latents" in record}
        for name, digest in lines:
            if ended.pop(name, digest) != digest:
                raise FolderError(
                    f"{self.path}: the edit {json.dumps(name)} ended with another line, model or option than now, so "
                    "`resume` cannot go on; `overwrite` begins anew",
                    field="resume overwrite",
                )
        for name in ended:
            raise FolderError(
                f"{self.path}: the edit {json.dumps(name)} is not in the file of edits, so `resume` cannot go on; "
                "`overwrite` begins anew",
                field="resume overwrite",
            )

    def _read(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as file:
            for raw in file:
                try:
                    record = json.loads(raw)
                except (ValueError, RecursionError):
                    record = None
                if is_record(record):
                    yield record
                elif raw.endswith(b"\n") or not raw.startswith(_BEGINNING[: len(raw)]):
                    self.unreadable.append(raw)
                # Else the program ended while it wrote this line, the last one.


def is_record(record: Any) -> TypeGuard[dict[str, Any]]:
    """Whether it is a result with files inside the batch's folder, if with any."""
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in ("id", "outcome")):
        return False
    if "latents" in record and "handles_xy" not in record:
        return False
    named = {key: record[key] for key in ("latents", "image") if key in record}
    patterns = {"latents": r"latents/[A-Za-z0-9._-]+\.npz", "image": r"images/[A-Za-z0-9._-]+\.png"}
    return all(isinstance(name, str) and re.fullmatch(patterns[key], name) for key, name in named.items())


def _job(path: Path) -> dict[str, Any]:
    """The totals of all runs so far; a summary that is damaged, or of an older version, has none."""
    try:
        job = json.loads(path.read_bytes())["whole_job"]
        return {key: job[key] + 0 for key in ("runs", "seconds", "compile_seconds")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
