"""A disk on which every operation of writing is seen, and may fail: opening, writing, flushing, renaming."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class Disk:
    """Calls `before` with the number of each operation on files below a folder; it may raise what a full disk does.

    Attributes:
      operations: how many there were.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, before: Callable[[int], None]) -> None:
        self._folder, self._before, self.operations = str(folder), before, 0
        opened, flush, replace = io.open, os.fsync, os.replace

        def open_(file: Any, mode: str = "r", *arguments: Any, **more: Any) -> Any:
            if isinstance(file, int) or not str(file).startswith(self._folder) or not set(mode) & set("wa+"):
                return opened(file, mode, *arguments, **more)
            try:
                self._next()
            except OSError as error:  # the system names the file when it cannot be opened, and only then
                raise OSError(error.errno, error.strerror, str(file)) from error
            handle = opened(file, mode, *arguments, **more)
            return _Watched(handle, self._next)

        def fsync(descriptor: int) -> None:
            self._next()
            flush(descriptor)

        def renamed(path: Path, target: Path) -> Path:
            self._next()
            replace(path, target)
            return target

        patch.setattr(builtins, "open", open_)
        patch.setattr(io, "open", open_)
        patch.setattr(os, "fsync", fsync)
        patch.setattr(Path, "replace", renamed)

    def _next(self) -> None:
        number, self.operations = self.operations, self.operations + 1
        self._before(number)


class _Watched:
    """A file whose writes are operations."""

    def __init__(self, handle: Any, before: Callable[[], None]) -> None:
        self._handle, self._before = handle, before

    def write(self, content: Any) -> int:
        self._before()
        return self._handle.write(content)

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.close()

    def __iter__(self) -> Any:
        return iter(self._handle)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)


def full_from(number: int) -> Callable[[int], None]:
    """A disk that is full from that operation on."""

    def before(operation: int) -> None:
        if operation >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return before
