"""Folders in an object store, copied to this machine to be read."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any


def is_remote(place: object) -> bool:
    """Whether a place is named by a scheme, such as `gs://bucket/folder`."""
    return "://" in str(place)


@functools.cache
def fetched(place: str) -> Path:
    """A copy of the folder, made once in a process and removed at its end.

    Raises:
      Exception: whatever the store's client meets, or that there is no client for such a store.
    """
    from etils import epath  # slow to import, and few need it

    copy = Path(tempfile.mkdtemp(prefix="dragspace-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    _copy(epath.Path(place), copy)
    return copy


def _copy(source: Any, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for each in source.iterdir():
        if each.is_dir():
            _copy(each, target / each.name)
        else:
            (target / each.name).write_bytes(each.read_bytes())
