"""What an earlier run left in a batch's folder, and whether it is of the same batch; nothing is changed here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dragspace_jax.cli.errors import UserError
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.parameters import fingerprint

_BEGINNING = b'{"id": '  # of every record, so that a torn one is told from a file of something else


class Digests:
    """Short hashes of what the result of a line depends on: the line, the model, the command's options.

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
    """Reads the results that are in DIR.

    Args:
      out: the folder, or where it will be.
      resume, overwrite: whether results may be there, to go on with or to be removed.

    Attributes:
      path: of results.jsonl.
      is_batch: whether it is there.
      records: what it holds; a last line that is torn is not among them.

    Raises:
      UserError: there are results and neither is given, or the folder's files are not a batch's.
    """

    def __init__(self, out: Path, *, resume: bool, overwrite: bool) -> None:
        self.out = out
        self.path = out / "results.jsonl"
        self.is_batch = self.path.exists()
        if self.is_batch and not (resume or overwrite):
            raise UserError(f"{self.path} is there already: --resume goes on with it, --overwrite begins anew")
        if not self.is_batch and (out / "summary.json").exists():
            raise UserError(
                f"{out / 'summary.json'} is there without the results of a batch, and would be lost: "
                "move it away, or give another --out"
            )
        self.records = list(self._read()) if self.is_batch else []

    def check_same(self, lines: Iterable[tuple[str, str]]) -> None:
        """Compare edits that ended with the ids and digests of all lines.

        Raises:
          UserError: one has no line any more, or its line, the model or an option is another now.
        """
        ended = {record["id"]: record.get("digest") for record in self.records if "latents" in record}
        for name, digest in lines:
            if ended.pop(name, digest) != digest:
                raise UserError(
                    f"{self.path}: the edit {json.dumps(name)} ended with another line, model or option than now, so "
                    "--resume cannot go on; --overwrite begins anew"
                )
        for name in ended:
            raise UserError(
                f"{self.path}: the edit {json.dumps(name)} is not in the file of edits, so --resume cannot go on; "
                "--overwrite begins anew"
            )

    def _read(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    record = json.loads(raw)
                    if not _is_record(record):
                        raise ValueError
                except (ValueError, RecursionError) as error:
                    if not raw.endswith(b"\n") and raw.startswith(_BEGINNING[: len(raw)]):
                        return  # the program ended while it wrote this line
                    raise UserError(f"{self.path}, line {number}: not a result of a batch") from error
                yield record


def _is_record(record: Any) -> bool:
    """Whether it is a result with files inside the batch's folder, if with any."""
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in ("id", "outcome")):
        return False
    if "latents" in record and "handles_xy" not in record:
        return False
    named = {key: record[key] for key in ("latents", "image") if key in record}
    patterns = {"latents": r"latents/[A-Za-z0-9._-]+\.npz", "image": r"images/[A-Za-z0-9._-]+\.png"}
    return all(isinstance(name, str) and re.fullmatch(patterns[key], name) for key, name in named.items())
