"""JAX's persistent compilation cache: compiled programs kept in the user's cache folder between runs."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click
import platformdirs


def cache_folder() -> Path:
    """The folder for what this program may always compute again (compiled programs, fitted bases)."""
    return Path(platformdirs.user_cache_dir("dragspace-jax", appauthor=False))


def configure_compilation_cache(enabled: bool) -> None:
    """Turn the cache on (unless the user's own JAX settings name a folder, which then holds) or off.

    Where the user's cache folder cannot be written it stays off, told in one line on the error stream.

    JAX reads its settings from the environment when it is first imported. Setting them there, instead of importing
    JAX to set them, keeps `dragspace --help` fast.
    """
    settings: dict[str, str | float | bool] = {"jax_enable_compilation_cache": enabled}
    if enabled and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = cache_folder() / "compiled"
        if _can_write(folder):
            settings["jax_compilation_cache_dir"] = str(folder)
            # Everything is kept: the many short compilations of a start add up, and their files are small.
            settings["jax_persistent_cache_min_compile_time_secs"] = 0.0
        else:
            settings["jax_enable_compilation_cache"] = False
            click.echo(f"compiled programs are not kept: {folder} cannot be written", err=True)
    if "jax" in sys.modules:
        import jax

        for name, value in settings.items():
            jax.config.update(name, value)
    else:
        os.environ.update({name.upper(): str(value) for name, value in settings.items()})


def _can_write(folder: Path) -> bool:
    """Make the folder if need be, and try; JAX would warn in several lines, in the middle of the work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
