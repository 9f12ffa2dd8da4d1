"""What the commands say while they work, on the error stream; their results go to the output stream."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

error_console = Console(stderr=True)


def progress() -> Progress:
    """A progress bar that is gone when the work is done; silent where the error stream is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=error_console,
        transient=True,
        disable=not error_console.is_terminal,
    )


@contextmanager
def fitting() -> Iterator[Callable[[int], None]]:
    """A bar for a basis that may have to be fitted; gives what is called with the number of samples done."""
    from dragspace_jax.spaces.fit import DEFAULT_SAMPLES

    with progress() as bar:
        task = bar.add_task("sampling", total=DEFAULT_SAMPLES, visible=False)
        yield lambda done: bar.update(task, completed=done, visible=True)


class _OnConsole(logging.Handler):
    """Shows what the library logs, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno >= logging.WARNING else None
        error_console.print(record.getMessage(), style=style, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def library_messages() -> Iterator[None]:
    """Show what the library has to say, above a bar if there is one."""
    logger, handler = logging.getLogger("dragspace_jax"), _OnConsole()
    level, passed_on = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # other libraries give the root a handler of theirs, and each line would come twice
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = passed_on
