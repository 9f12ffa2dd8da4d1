"""The folder that --out names: made before the work, which may be long."""

from __future__ import annotations

import os
from pathlib import Path

from dragspace_jax.cli.errors import UserError


def make_folder(folder: Path) -> None:
    """Make a folder for results. Raises UserError if nothing can be written there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"--out: no permission to write in {folder}")
