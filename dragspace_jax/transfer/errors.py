"""What is raised for arguments of this package that cannot be used."""

from __future__ import annotations

from dragspace_jax.errors import DragspaceError


class TransferError(DragspaceError):
    """Models, pairs, a map or results that cannot be used; the message names the argument and the fix."""
