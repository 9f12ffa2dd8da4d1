"""The compilation cache of the commands: on unless the user says otherwise."""

from __future__ import annotations

import os
import sys

import click

from dragspace_jax.compilation_cache import CacheError, cache_settings


def configure_compilation_cache(enabled: bool) -> None:
    """Turn the cache on (unless the user's own JAX settings name a folder, which then holds) or off.

    Where the user's cache folder cannot be written it stays off, told in one line on the error stream.

    JAX reads its settings from the environment when it is first imported. Setting them there, instead of importing
    JAX to set them, keeps `dragspace --help` fast.
    """
    settings: dict[str, str | float | bool] = {"jax_enable_compilation_cache": enabled}
    if enabled and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        try:
            settings = cache_settings()
        except CacheError as error:
            settings["jax_enable_compilation_cache"] = False
            click.echo(str(error), err=True)
    if "jax" in sys.modules:
        import jax

        for name, value in settings.items():
            jax.config.update(name, value)
    else:
        os.environ.update({name.upper(): str(value) for name, value in settings.items()})
