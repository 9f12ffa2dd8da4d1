"""JAX's persistent compilation cache: compiled programs kept in the user's cache folder between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder for what this program may always compute again (compiled programs, fitted bases)."""
    return Path(platformdirs.user_cache_dir("dragspace-jax", appauthor=False))


def configure_compilation_cache(enabled: bool) -> None:
    """Turn the cache on (unless the user's own JAX settings name a folder, which then holds) or off.

    JAX reads its settings from the environment when it is first imported. Setting them there, instead of importing
    JAX to set them, keeps `dragspace --help` fast.
    """
    settings: dict[str, str | float | bool] = {"jax_enable_compilation_cache": enabled}
    if enabled and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        settings["jax_compilation_cache_dir"] = str(cache_folder() / "compiled")
        # Everything is kept: the many short compilations of a start add up, and their files are small.
        settings["jax_persistent_cache_min_compile_time_secs"] = 0.0
    if "jax" in sys.modules:
        import jax

        for name, value in settings.items():
            jax.config.update(name, value)
    else:
        os.environ.update({name.upper(): str(value) for name, value in settings.items()})
