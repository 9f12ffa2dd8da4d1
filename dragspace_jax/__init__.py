"""Drag editing of StyleGAN2 images, compiled.

The public names are imported on first use: `dragspace --help` and `import dragspace_jax` load no JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dragspace_jax.checkpoint import load
    from dragspace_jax.errors import DragspaceError

_HOMES = {
    "DragspaceError": "dragspace_jax.errors",
    "load": "dragspace_jax.checkpoint",
}

__all__ = ["DragspaceError", "load"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
