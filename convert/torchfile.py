"""Files of `torch.save`, whole or nested in a pickle: weights only, read without torch.

Such a file describes its tensors in a pickle that refers to storages by persistent ids; the numbers lie beside it. The
zip form has the pickle as `data.pkl` and each storage as a member. The legacy form has five pickles (a magic number,
the protocol, the writer's machine, the object, the storages' keys) and then, for each key, a count and the numbers.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

from dragspace_jax.convert.check import ConvertError, RefusedError
from dragspace_jax.convert.inert import TORCH_GLOBALS, Named
from dragspace_jax.convert.stored import FileSpan, StoredStorage
from dragspace_jax.convert.unpickle import Machine

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ZIP_MAGIC = b"PK\x03\x04"
_LARGEST_DESCRIPTION = 64 * 2**20  # a zip's pickle holds names and shapes only
# What zipfile raises for damaged files; a RuntimeError asks for a password.
_ZIP_ERRORS = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, OverflowError, struct.error)
_COUNT = 8  # bytes of the count before a legacy storage


class _Storages:
    """The storages that a description refers to, by key. Called by the machine with each persistent id."""

    def __init__(self) -> None:
        self.by_key: dict[str, StoredStorage] = {}

    def __call__(self, identifier: object) -> StoredStorage:
        """("storage", its class, key, device, number of elements[, view]) → the storage, its place still open."""
        if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
            raise ConvertError("a torch file refers to something else than a storage")
        _, kind, key, _, count, *view = identifier
        if not isinstance(kind, Named) or not isinstance(key, str) or type(count) is not int or count < 0:
            raise ConvertError("a torch file describes a storage in another way than torch does")
        if view not in ([], [None]):
            raise ConvertError("a torch file has a view of a storage, which only very old versions wrote")
        return self.by_key.setdefault(key, StoredStorage(kind.name, count))


def read(stream: BinaryIO) -> Any:
    """The object of a torch file; its tensors' numbers stay in the stream, which must stay open.

    Raises:
      RefusedError: the description names what no tensors need.
      ConvertError: not a torch file, or not a whole one.
    """
    start = stream.tell()
    head = stream.read(len(ZIP_MAGIC))
    stream.seek(start)
    return _read_zip(stream) if head == ZIP_MAGIC else _read_legacy(stream)[0]


def read_nested(data: bytes) -> tuple[StoredStorage, int]:
    """The storage that a torch file inside a pickle holds, and where in `data` its numbers begin; they end it.

    Raises:
      RefusedError: the description names what no tensors need, or the form is the zip, which torch does not nest.
      ConvertError: not a torch file, not a whole one, one of something else than a storage, or bytes behind its end.
    """
    if data.startswith(ZIP_MAGIC):
        raise RefusedError("a torch file nested in the pickle has the zip form, which no checkpoint nests; refused")
    value, spans = _read_legacy(io.BytesIO(data))
    if not isinstance(value, StoredStorage) or len(spans) != 1:
        raise ConvertError("a torch file nested in the pickle holds something else than a storage")
    if spans[0].offset + spans[0].length != len(data):
        raise ConvertError("a torch file nested in the pickle goes on after its end")
    return value, spans[0].offset


def _read_legacy(stream: BinaryIO) -> tuple[Any, list[FileSpan]]:
    """The object, and where the storages' numbers lie."""
    storages = _Storages()

    def pickled() -> Any:
        return Machine(stream, TORCH_GLOBALS, storages=storages).load()

    if pickled() != LEGACY_MAGIC:
        raise ConvertError("a nested torch file is none: the magic number is missing")
    pickled()  # the protocol; the machine reads all of them
    machine, value, keys = pickled(), pickled(), pickled()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ConvertError("this torch file was written by a big-endian machine")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ConvertError("a torch file's list of storages is none")
    if sorted(keys) != sorted(storages.by_key):
        raise ConvertError("a torch file's list of storages does not fit its description")
    place = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    spans = []
    for key in keys:
        storage = storages.by_key[key]
        span = FileSpan(stream, place + _COUNT, storage.nbytes, is_text=False)
        place += _COUNT + storage.nbytes
        if place > end:
            raise ConvertError("the file ends early: it is truncated")
        storage.fetch = span.read
        spans.append(span)
    return value, spans


def _read_zip(stream: BinaryIO) -> Any:
    try:
        archive = zipfile.ZipFile(stream)
        members = {entry.filename: entry for entry in archive.infolist()}
        descriptions = [name for name in members if name.endswith(".pkl")]
        if len(descriptions) != 1 or not descriptions[0].endswith("/data.pkl"):
            raise ConvertError("this zip file is no checkpoint of torch.save (it has not one data.pkl)")
        root = descriptions[0].removesuffix("data.pkl")
        if members[descriptions[0]].file_size > _LARGEST_DESCRIPTION:
            raise ConvertError("this zip file describes more than a checkpoint can hold")
        order = f"{root}byteorder"
        if order in members and members[order].file_size < 16 and archive.read(order).strip() != b"little":
            raise ConvertError("this torch file was written by a big-endian machine")
        storages = _Storages()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in members.values()):
            raise ConvertError("this zip file is compressed, which torch.save does not do; unpack and pack it plainly")
        value = Machine(io.BytesIO(archive.read(descriptions[0])), TORCH_GLOBALS, storages=storages).load()
        for key, storage in storages.by_key.items():
            entry = members.get(f"{root}data/{key}")
            if entry is None or entry.file_size != storage.nbytes:
                raise ConvertError(f"the torch file's storage {key} is missing or of another size than described")
            storage.fetch = _member(archive, entry)
    except ConvertError:
        raise
    except _ZIP_ERRORS as error:
        raise ConvertError(f"not a whole zip file of torch.save ({error}); is it truncated?") from error
    return value


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], bytes]:
    def fetch() -> bytes:
        try:
            return archive.read(entry)
        except _ZIP_ERRORS as error:
            raise ConvertError(f"{entry.filename} cannot be read: {error}") from error

    return fetch
