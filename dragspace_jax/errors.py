"""The common base of what the package raises when its input, and not its code, is at fault."""

from __future__ import annotations

import re
from collections.abc import Mapping


class DragspaceError(ValueError):
    """Bad input: a model, an edit, a space, a file or a setting. The message names it and the fix.

    Every error of this package that a caller can mend derives from it; the command line prints such an error as
    one line and exits with code 2.

    Attributes:
      field: the argument or setting at fault, or several of them with blanks between; empty if it is none.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def renamed(error: DragspaceError, names: Mapping[str, str]) -> str:
    """The message with its fields under the names that the user gave them: keys of a line, options of a command."""
    message = str(error)
    for field in error.field.split():
        name = names.get(field)
        if name is None:
            continue
        message, found = re.subn(rf"(?<![\w-]){field}(?![\w-])", name, message)
        if not found:
            message = f"{name}: {message}"
    return message
