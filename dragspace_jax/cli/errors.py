"""How a mistake of the user's reaches the terminal: one line, exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from dragspace_jax.errors import DragspaceError


class UserError(click.ClickException):
    """Bad input found by a command itself; printed as `Error: …` on one line."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn what the package raises for bad input, and click for a wrong option, into `UserError`.

    Click alone would put the usage and a hint in front of the mistake, three lines more.

    Errors of the operating system count as the user's when they name a file (a full disk, a folder without
    permission); anything else is a fault of the program and keeps its traceback.
    """
    try:
        yield
    except click.UsageError as error:
        raise UserError(error.format_message()) from error
    except DragspaceError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise UserError(f"{error.filename}: {error.strerror or error}") from error
