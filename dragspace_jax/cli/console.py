"""What the commands say while they work, on the error stream; their results go to the output stream."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_progress_console = Console(stderr=True)


def progress() -> Progress:
    """A progress bar that is gone when the work is done; silent where the error stream is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=_progress_console,
        transient=True,
        disable=not _progress_console.is_terminal,
    )
