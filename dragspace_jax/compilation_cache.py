"""JAX's persistent compilation cache: compiled programs kept in the user's cache folder between runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import platformdirs

from dragspace_jax.errors import DragspaceError


class CacheError(DragspaceError):
    """A folder for compiled programs that cannot be written."""


def cache_folder() -> Path:
    """The folder for what this program may always compute again (compiled programs, fitted bases)."""
    return Path(platformdirs.user_cache_dir("dragspace-jax", appauthor=False))


def cache_settings(folder: str | Path | None = None) -> dict[str, str | float | bool]:
    """JAX's settings that keep compiled programs in a folder (None: one in the user's cache), which is made.

    Raises:
      CacheError: nothing can be written there; JAX would warn in several lines, in the middle of the work.
    """
    folder = cache_folder() / "compiled" if folder is None else Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CacheError(f"compiled programs are not kept: {folder} cannot be written", field="folder") from error
    return {
        "jax_enable_compilation_cache": True,
        "jax_compilation_cache_dir": str(folder),
        # Everything is kept: the many short compilations of a start add up, and their files are small.
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }


def enable_compilation_cache(folder: str | Path | None = None) -> None:
    """Keep compiled programs between runs, as the commands do, so that only the first run of a kind waits for them.

    Args:
      folder: where; None: the same folder as the commands'.

    Raises:
      CacheError: nothing can be written there.
    """
    import jax  # the command line reads this module before it may import JAX

    for name, value in cache_settings(folder).items():
        jax.config.update(name, value)
