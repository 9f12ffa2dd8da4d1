"""How a mistake of the user's, or a disk that is full, reaches the terminal: one line, exit code 2 or 1."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import click

from dragspace_jax.errors import DragspaceError, renamed

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_WORDS = ("no space left on device", "disk quota exceeded", "file too large")


class UserError(click.ClickException):
    """Bad input found by a command itself; printed as `Error: …` on one line."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class WriteError(UserError):
    """Something that cannot be written, through no mistake in what was typed."""

    exit_code = 1


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn what the package raises for bad input, and click for a wrong option, into `UserError`.

    Click alone would put the usage and a hint in front of the mistake, three lines more.

    Errors of the operating system count as the user's when they name a file (a folder without permission), and a full
    disk is nobody's fault; anything else is a fault of the program and keeps its traceback.
    """
    try:
        yield
    except click.UsageError as error:
        raise UserError(error.format_message()) from error
    except DragspaceError as error:
        raise UserError(renamed(error, _flags())) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise UserError(f"{error.filename}: {error.strerror or error}") from error


@contextmanager
def disk_errors(place: object, advice: str) -> Iterator[None]:
    """Turn the errors of a full disk, from whatever library they come, into a `WriteError`.

    Args:
      place: what was being written, where the error does not name a file.
      advice: what to do when there is room again.
    """
    try:
        yield
    except (click.ClickException, DragspaceError):
        raise
    except Exception as error:
        reason = _full(error)
        if reason is None:
            raise
        name = getattr(error, "filename", None) or place
        raise WriteError(f"{name}: {reason}; make room, then {advice}") from error


def _full(error: BaseException | None) -> str | None:
    """What the system says of the disk, if that is at the bottom of the error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error.strerror
        words = str(error).lower()
        found = next((text for text in _FULL_WORDS if text in words), None)
        if found is not None:
            return found
        error = error.__cause__ or error.__context__
    return None


@cache
def _flags() -> dict[str, str]:
    """{field of the library, or key of a line: option of the command line}: the one place that translates."""
    from dragspace_jax.drag.recipes import CHOICE_KEYS, SETTING_KEYS

    fields = {field: key for key, field in SETTING_KEYS.items()}
    own = (
        "psi", "label", "mask", "region", "segment", "segments", "lanes", "pictures", "sort", "out", "resume",
        "overwrite", "direction", "image", "channel", "on_layers", "positions", "within", "device", "on", "workers",
        "mirror",
    )  # fmt: skip
    points = {"handles_yx": "handles", "targets_yx": "targets"}
    keys = {**{key: key for key in (*CHOICE_KEYS, *own)}, **fields, **points}
    return {field: f"--{key.replace('_', '-')}" for field, key in keys.items()}
