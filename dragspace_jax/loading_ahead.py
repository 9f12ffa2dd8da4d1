"""Programs loaded before anybody knows which are needed: those that the same command used the last time.

Loading what the compiler made is a third of a command's start, and most of that time other threads can run Python: they
import, read the model and draw up the edit meanwhile.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import jax

from dragspace_jax import lowered_files
from dragspace_jax.folders import whole_file


@contextlib.contextmanager
def loading_ahead(task: str, then: Callable[[], Any]) -> Iterator[None]:
    """Load the programs that a task used the last time, in another thread, before anybody knows which it needs now.

    Most of the time that takes, other threads can run Python. What the block uses is noted for the next time.

    Args:
      task: its name, of letters; a command's.
      then: called in that thread when they are loaded; what it raises is lost.
    """
    folder = lowered_files.folder()
    if folder is None:
        yield
        return
    path = folder / f"{task}.json"
    with ThreadPoolExecutor(1) as thread:
        ahead = Ahead({noted: thread.submit(_loaded, folder / noted[0], noted[1]) for noted in _noted(path)})
        thread.submit(then)
        token = _CURRENT.set(ahead)
        try:
            yield
        finally:
            _CURRENT.reset(token)
            thread.shutdown(wait=False, cancel_futures=True)
            ahead.note(path)


Noted = tuple[str, tuple[int, ...]]
"""The name of a program's file, and which of its arguments are donated."""


class Ahead:
    """Programs that are being loaded, and what was asked for meanwhile."""

    def __init__(self, programs: dict[Noted, Future[Any]]) -> None:
        self._programs = programs
        self._before = set(programs)
        self._used: dict[Noted, None] = {}  # in their order

    def program(self, name: str, donated: list[int]) -> Any:
        """A compiled function of leaves; None: nobody has begun to load it, or it could not be."""
        asked = name, tuple(donated)
        self._used[asked] = None
        loaded = self._programs.pop(asked, None)
        if loaded is None or loaded.cancel():
            return None
        with contextlib.suppress(Exception):  # what fails here fails again where it is made anew, and is told there
            return loaded.result()

    def note(self, path: Path) -> None:
        """Write down what was used, in its order, if there was more of it than what is written."""
        if not self._used.keys() <= self._before:
            with contextlib.suppress(OSError), whole_file(path) as file:
                file.write(json.dumps(list(self._used)).encode())


_CURRENT: ContextVar[Ahead | None] = ContextVar("programs loaded ahead", default=None)


def current() -> Ahead | None:
    """The programs that are being loaded for the block this is called in."""
    return _CURRENT.get()


def _noted(path: Path) -> list[Noted]:
    """What the file says was used; nothing if it says something else."""
    try:
        noted = [(Path(name).name, tuple(int(n) for n in donated)) for name, donated in json.loads(path.read_bytes())]
    except (OSError, TypeError, ValueError, OverflowError, RecursionError):
        return []
    return noted[: lowered_files.MOST]


def _loaded(path: Path, donated: tuple[int, ...]) -> jax.stages.Compiled | None:
    exported = lowered_files.read(path)
    if exported is None:
        return None
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in exported.in_avals]
    return lowered_files.jitted(exported, donated).lower(*shapes).compile()
