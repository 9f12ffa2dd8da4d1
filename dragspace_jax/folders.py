"""Folders of results: made before the work, of one run at a time; and files in them, whole or not there.

What is written here is on the disk before it counts: a file gets its name only when all of it has been flushed, so
that a full disk, a signal or a power cut leaves the file that was there before, or none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from dragspace_jax.errors import DragspaceError

_LOCK = ".lock"


class FolderError(DragspaceError):
    """A folder for results that cannot be written, holds other results, or is another run's."""


def make_folder(folder: Path) -> None:
    """Make a folder for results. Raises FolderError if nothing can be written there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FolderError(f"no permission to write in {folder}", field="out")


def refuse_results(found: Iterable[Path], *, overwrite: bool, may_resume: bool = False) -> None:
    """Raises FolderError if one of these files is there, and the caller has not said to overwrite them."""
    path = next((path for path in found if path.exists()), None)
    if path is None or overwrite:
        return
    if may_resume:
        raise FolderError(
            f"{path} is there already: `resume` goes on with it, `overwrite` begins anew", field="resume overwrite"
        )
    raise FolderError(f"{path} is there already: `overwrite` replaces it", field="overwrite")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if need be; the lock of a run that was killed does not count.

    Raises:
      FolderError: another run writes there, or nothing can be written.
    """
    make_folder(folder)
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FolderError(
            f"another run is writing in {folder}: wait for its end, or give another `out`", field="out"
        ) from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # while it is held, so that nobody holds it
        lock.release()


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` if the block ends well, flushed to the disk; else it goes.

    Raises:
      OSError: it cannot be written; the error names `path`.
    """
    with staged(path) as staging, staging.open("wb") as file:
        yield file


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """`whole_file` for writers that take a path: that of a file beside `path`, of the same suffix."""
    staging = path.with_name(f".part-{path.name}")
    try:
        yield staging
        with staging.open("rb+") as file:
            os.fsync(file.fileno())
        staging.replace(path)
        _flush_names(path.parent)
    except OSError as error:
        if error.filename not in (None, str(staging)):
            raise
        raise named_error(error, path) from error
    finally:
        staging.unlink(missing_ok=True)


def append(file: BinaryIO, path: Path, content: bytes) -> None:
    """Add to an unbuffered file in one write, flushed to the disk. Raises OSError that names `path`."""
    try:
        written = file.write(content)
        if written != len(content):  # the disk is full, which the next write says
            file.write(content[written:])
        os.fsync(file.fileno())
    except OSError as error:
        raise named_error(error, path) from error


def named_error(error: OSError, path: Path) -> OSError:
    """The error with the path that the system does not name when a write fails."""
    return OSError(error.errno, error.strerror or str(error), str(path))


def _flush_names(folder: Path) -> None:
    """Flush a renaming, where the system lets a folder be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
