"""What the architectures of all families share: their error, and their settings read from JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dragspace_jax.errors import DragspaceError


class ConfigError(DragspaceError):
    """A setting that is unknown, missing or out of range; the message names it."""


def settings_from_json(config: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a frozen dataclass of settings, its lists as tuples.

    Raises:
      ConfigError: a missing or unknown setting.
    """
    known = {f.name: f for f in dataclasses.fields(config)}
    unknown = sorted(set(values) - set(known))
    required = {n for n, f in known.items() if f.default is dataclasses.MISSING}
    missing = sorted(required - set(values))
    if unknown or missing:
        raise ConfigError(f"{config.__name__}: unknown settings {unknown}, missing settings {missing}")
    return {name: _frozen(value) for name, value in values.items()}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
