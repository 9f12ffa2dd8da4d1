"""Files of named arrays (npz): written whole or not at all, read without trust."""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

DAMAGED = (ValueError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for files that are damaged, encrypted, or packed in a way they do not know."""


class UnreadableArrays(Exception):
    """A file that is no npz of arrays; the message names it. Callers turn it into an error of their own."""


def write_arrays(path: str | Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write an npz beside its place and rename it; an interrupted write leaves nothing at `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as staging:
        try:
            np.savez(staging, **arrays)  # type: ignore[arg-type]
            staging.close()
            Path(staging.name).chmod(0o644)
            Path(staging.name).rename(path)
        except BaseException:
            Path(staging.name).unlink(missing_ok=True)
            raise


def holds_array(path: str | Path, name: str) -> bool:
    """Whether a file is an npz with an array of this name; only its table of contents is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{name}.npy" in archive.namelist()
    except (OSError, *DAMAGED):
        return False


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an npz by name; nothing in it is unpickled.

    Raises:
      FileNotFoundError: there is no such file.
      UnreadableArrays: it cannot be read, is damaged, or holds one array without a name.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        raise UnreadableArrays(f"{path} cannot be read ({error})") from error
    try:
        stored = np.load(io.BytesIO(content), allow_pickle=False)
        if not isinstance(stored, np.ndarray):
            return {name: np.asarray(stored[name]) for name in stored.files}
    except (OSError, MemoryError, *DAMAGED) as error:
        raise UnreadableArrays(f"{path} cannot be read: it is no npz of arrays, or a damaged one") from error
    raise UnreadableArrays(f"{path} holds one array, not an npz of several")


def read_arrays_as(
    path: str | Path, failure: Callable[[str], Exception], *, what: str, command: str
) -> dict[str, np.ndarray]:
    """`read_arrays` of a file that a command writes, told as an error of the caller's.

    Args:
      path: the file.
      failure: makes the error of a message.
      what: the file's content, as in "not WHAT: …".
      command: the command that writes such files, named where there is none.
    """
    try:
        return read_arrays(path)
    except FileNotFoundError as error:
        raise failure(f"{path} does not exist; {command} writes one") from error
    except UnreadableArrays as error:
        raise failure(f"not {what}: {error}") from error
