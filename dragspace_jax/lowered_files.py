"""The files of kept programs: StableHLO as `jax.export` writes it, data that is read and never run as Python."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export

from dragspace_jax.folders import whole_file

MOST = 256
"""Files; each new version of the package leaves its own behind."""
_FOLDER = "lowered"  # in that of the compilation cache
_DIGEST = hashlib.sha256().digest_size


def folder() -> Path | None:
    """Where programs are kept; None: nowhere."""
    name = jax.config.values["jax_compilation_cache_dir"]
    if not name or not jax.config.values["jax_enable_compilation_cache"] or "://" in name:
        return None
    return Path(name) / _FOLDER


def read(path: Path) -> jax.export.Exported | None:
    """A kept program; None: there is none, or a damaged one, which is then written again."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        return None
    return jax.export.deserialize(bytearray(content[_DIGEST:]))


def write(path: Path, exported: jax.export.Exported) -> None:
    """Keep a program, if there is room for it; without it the next start takes longer and is otherwise the same."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        content = exported.serialize()
        with whole_file(path) as file:
            file.write(hashlib.sha256(content).digest() + content)
        written = sorted(path.parent.iterdir(), key=lambda each: each.stat().st_mtime)
        for old in written[:-MOST]:
            old.unlink(missing_ok=True)


def jitted(exported: jax.export.Exported, donated: Sequence[int]) -> Any:
    """A program as a jitted function of its leaves, of which those of some numbers are donated."""
    return jax.jit(exported.call, donate_argnums=tuple(donated))
