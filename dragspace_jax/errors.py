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
    """The message with its fields under the names that the user gave them: keys of a line, options of a command.

    A field stands at the message's beginning or between ` marks; where it does not, its name goes in front.
    """
    message = str(error)
    for field in error.field.split():
        name = names.get(field)
        if name is None:
            continue
        begins = re.match(rf"{re.escape(field)}(?![\w-])", message)
        marked = f"`{field}`" in message
        message = message.replace(f"`{field}`", name)
        if begins:
            message = name + message[begins.end() :]
        elif not marked:
            message = f"{name}: {message}"
    return message
