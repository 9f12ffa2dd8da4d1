"""Tables of `dragspace channels` that come with the embedded models: which style channels act on which part."""

from __future__ import annotations

import importlib.resources
from pathlib import Path


def channel_table(fingerprint: str) -> Path | None:
    """The table (`layer`, `index`, `region`) of the embedded model of this fingerprint; None of any other model."""
    folder = importlib.resources.files("dragspace_jax.critters") / "weights" / "channels"
    path = Path(str(folder)) / f"{fingerprint}.csv"
    return path if path.is_file() else None
