"""How a batch stands, on the error stream: a bar on a terminal, elsewhere a line every now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dragspace_jax.batch import BatchState

SECONDS_BETWEEN_LINES = 15.0


class BatchBar:
    """Shows edits done, workers if there are any, edits a second, lanes busy and the time left.

    Args:
      console: of the error stream.
      clock: seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._told = clock()
        self._bar = Progress(
            TextColumn("dragging"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._plain = not console.is_terminal
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, state: BatchState) -> None:
        """Tell of the lines that are settled, invalid ones included, and of the lanes."""
        stats, left = state.stats, duration(state.seconds_left)
        text = f"{state.edits_per_second:.2f} edits/s, {stats.busy} of {stats.lanes} lanes busy, {left} left"
        if state.workers:
            text = f"{state.workers} worker{'s' if state.workers > 1 else ''}, {text}"
        self._bar.update(self._task, completed=state.settled, total=state.total, description=text)
        now = self._clock()
        if self._plain and now - self._told >= SECONDS_BETWEEN_LINES:
            self._told = now
            click.echo(f"{state.settled} of {state.total} edits, {text}", err=True)


def duration(seconds: float) -> str:
    """Seconds as people read them: 42 s, 3:05 min, 2:10 h."""
    if seconds != seconds:
        return "unknown time"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
