"""The common base of what the package raises when its input, and not its code, is at fault."""


class DragspaceError(ValueError):
    """Bad input: a model, an edit, a space, a file or a setting. The message names it and the fix.

    Every error of this package that a caller can mend derives from it; the command line prints such an error as
    one line and exits with code 2.
    """
