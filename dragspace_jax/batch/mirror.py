"""A batch's results copied to another place, such as an object store, in shards that are written once.

An object store has no append, no rename and no lock, so results are written to a local folder, and tar files of what
has finished go here: `results.jsonl` with the lines of some edits, and the files that these name. Nothing is written
twice.
"""

from __future__ import annotations

import io
import json
import logging
import re
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dragspace_jax.batch.resume import Earlier, is_record
from dragspace_jax.folders import FolderError, make_folder, whole_file
from dragspace_jax.remote_folders import is_remote

SHARD = 64
"""Edits of a shard; the last of a run has fewer."""
_NAME = re.compile(r"shard-[0-9a-f]{8}-\d{5}\.tar")
_log = logging.getLogger(__name__)


def refuse_object_store(out: str | Path) -> None:
    """Raises FolderError if a folder for results is a place in an object store."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(out)):
        raise FolderError(
            f"out is {out}: an object store has no append, rename or lock, so results go to a local folder; "
            "`mirror` copies what has finished to an object store",
            field="out",
        )


class Mirror:
    """Copies finished edits; as a context manager, the rest at the end, however it ends.

    Args:
      place: a folder or a place in an object store.
      out: the folder of the batch.
      model: fingerprint of its model.

    Raises:
      FolderError: the place cannot be reached.
    """

    def __init__(self, place: str, out: Path, model: str) -> None:
        self._out, self._model, self._run, self._count = out, model, uuid.uuid4().hex[:8], 0
        self._waiting: list[dict[str, Any]] = []
        self._thread = ThreadPoolExecutor(1)
        self._writing: list[Future[None]] = []
        self._mirrored: set[str] = set()
        from etils import epath  # slow to import, and few need it

        try:
            self._place: Any = epath.Path(place)
            self._place.mkdir(parents=True, exist_ok=True)
            self._shards = sorted(path.name for path in self._place.iterdir() if _NAME.fullmatch(path.name))
        except Exception as error:  # each kind of store has errors of its own, and a missing client is one too
            reason = " ".join(str(error).split())
            raise FolderError(f"mirror {place} cannot be read: {reason}", field="mirror") from error

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Raises FolderError if shards are there and neither is given."""
        if self._shards and not (resume or overwrite):
            raise FolderError(
                f"mirror {self._place} holds {self._shards[0]} already: `resume` goes on with it, "
                "`overwrite` begins anew",
                field="resume overwrite",
            )

    def clear(self) -> None:
        """Remove the shards of an earlier batch."""
        for name in self._shards:
            (self._place / name).unlink()
        self._shards = []

    def restore(self, digests: Mapping[str, str]) -> None:
        """Bring back what is here and not in the folder; what is there and not here will be copied.

        Args:
          digests: by the ids of all lines.

        Raises:
          FolderError: what is here is of another batch.
          OSError: a file cannot be written.
        """
        earlier = Earlier(self._out, resume=True, overwrite=False)
        local = {record["id"]: record for record in earlier.finished(self._model)}
        taken = {record["latents"] for record in local.values()}
        lines: list[bytes] = []
        for name in self._shards:
            for record, files in self._read(name):
                if digests.get(record["id"]) != record.get("digest"):
                    raise FolderError(
                        f"mirror {self._place}: the edit {json.dumps(record['id'])} ended with another line, model or "
                        "option than now, so `resume` cannot go on; give another `mirror`, or `overwrite`",
                        field="mirror resume overwrite",
                    )
                self._mirrored.add(record["id"])
                if record["id"] in local or record["latents"] in taken:
                    continue
                for path, content in files.items():
                    make_folder((self._out / path).parent)
                    with whole_file(self._out / path) as file:
                        file.write(content)
                local[record["id"]] = record
                taken.add(record["latents"])
                lines.append(json.dumps(record).encode() + b"\n")
        if lines:
            before = earlier.path.read_bytes() if earlier.is_batch else b""
            torn = b"" if before.endswith(b"\n") or not before else b"\n"
            with whole_file(earlier.path) as file:
                file.write(before + torn + b"".join(lines))
            _log.info("%d finished edits came back from %s", len(lines), self._place)
        self._waiting = [record for name, record in local.items() if name not in self._mirrored]

    def _read(self, name: str) -> Iterator[tuple[dict[str, Any], dict[str, bytes]]]:
        """The records of a shard with the contents of their files; nothing of one that is damaged."""
        try:
            with tarfile.open(fileobj=io.BytesIO((self._place / name).read_bytes())) as shard:
                content = {
                    member.name: file.read()
                    for member in shard
                    if member.isfile() and (file := shard.extractfile(member)) is not None
                }
            records = [json.loads(line) for line in content["results.jsonl"].splitlines()]
        except (tarfile.TarError, KeyError, ValueError, EOFError) as error:
            _log.warning("%s is damaged, and its edits run again: %s", self._place / name, error)
            return
        for record in records:
            if is_record(record) and record.get("latents") in content:
                named = (record[key] for key in ("latents", "image") if key in record)
                yield record, {path: content[path] for path in named if path in content}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while self._waiting:
                self._write(self._waiting[:SHARD])
                del self._waiting[:SHARD]
            self._wait()
        finally:
            self._thread.shutdown()

    def add(self, record: dict[str, Any]) -> None:
        """Take the record of an edit that ended; it is copied once its picture is there.

        Raises:
          OSError: an earlier shard could not be written.
        """
        self._waiting.append(record)
        if len(self._waiting) < 2 * SHARD and len(self._waiting) % 16:
            return  # looking for pictures costs more than waiting
        whole = [each for each in self._waiting if "image" not in each or (self._out / each["image"]).is_file()]
        if len(whole) >= SHARD:
            self._write(whole[:SHARD])
            written = {each["id"] for each in whole[:SHARD]}
            self._waiting = [each for each in self._waiting if each["id"] not in written]

    def _write(self, records: list[dict[str, Any]]) -> None:
        self._wait()  # one shard is kept in memory
        self._count += 1
        name = f"shard-{self._run}-{self._count:05d}.tar"
        self._writing.append(self._thread.submit(self._put, name, records))

    def _put(self, name: str, records: list[dict[str, Any]]) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as shard:
            for record in records:
                for path in (record[key] for key in ("latents", "image") if key in record):
                    if (self._out / path).is_file():
                        shard.add(self._out / path, arcname=path)
            lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
            entry = tarfile.TarInfo("results.jsonl")
            entry.size = len(lines)
            shard.addfile(entry, io.BytesIO(lines))
        if is_remote(self._place):
            (self._place / name).write_bytes(packed.getvalue())  # an object is there whole, or not at all
        else:
            with whole_file(Path(self._place) / name) as file:
                file.write(packed.getvalue())

    def _wait(self) -> None:
        for each in self._writing:
            each.result()
        self._writing.clear()
