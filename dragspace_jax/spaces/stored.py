"""Spaces as files: an npz of their arrays, their settings and the fingerprint of their model."""

from __future__ import annotations

import dataclasses
import io
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from dragspace_jax.spaces.base import Space, SpaceError
from dragspace_jax.spaces.displacement import Displacement
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.spaces.wplus import W, WPlus

_KINDS: dict[str, type[Space]] = {kind.name: kind for kind in (WPlus, W, PCA, Displacement)}
_BROKEN = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, NotImplementedError, MemoryError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_LARGEST = 1e12  # of any number: what is squared stays within float32
_RANKS = {"mean": (1,), "components": (2, 3), "variance": (1,), "scale": (1,)}


def save_space(space: Space, path: str | Path) -> None:
    """Write a space as an npz: `kind`, and its fields by name; an interrupted write leaves nothing at `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {f.name: np.asarray(getattr(space, f.name)) for f in dataclasses.fields(space)}  # type: ignore[arg-type]
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as staging:
        try:
            np.savez(staging, **{"kind": np.asarray(space.name), **fields})  # type: ignore[arg-type]
            staging.close()
            Path(staging.name).chmod(0o644)
            Path(staging.name).rename(path)
        except BaseException:
            Path(staging.name).unlink(missing_ok=True)
            raise


def load_space(path: str | Path) -> Space:
    """Read what `save_space` wrote, or a PCA of W that another program wrote: `mean`, `components`, `variance`.

    Raises:
      SpaceError: the file is not a space; its message says what is wrong.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise SpaceError(f"{path} does not exist; dragspace fit-pca writes one") from error
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        raise SpaceError(f"{path} cannot be read ({error})") from error
    try:
        stored = np.load(io.BytesIO(content), allow_pickle=False)
        lone = isinstance(stored, np.ndarray)
        values = {} if lone else {name: np.asarray(stored[name]) for name in stored.files}
    except _BROKEN as error:
        raise SpaceError(f"{path} cannot be read: it is no npz of arrays, or a damaged one") from error
    if lone:
        raise SpaceError(f"{path} is not a space: it holds one array, not an npz of several")
    try:
        return _space(values)
    except (ValueError, KeyError, TypeError) as error:
        raise SpaceError(f"{path} is not a space: {error}") from error


def _space(values: dict[str, np.ndarray]) -> Space:
    name = str(values.get("kind", "pca"))
    if name not in _KINDS:
        raise ValueError(f"its kind is {name!r}; known are {', '.join(_KINDS)}")
    kind = _KINDS[name]
    if "variance" in values:
        values.setdefault("scale", np.ones(values["variance"].shape))
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name not in values:
            if field.default is dataclasses.MISSING:
                raise ValueError(f"`{field.name}` is missing")
            continue
        value = values[field.name]
        arguments[field.name] = _array(field.name, value) if field.name in _RANKS else _setting(field, value)
    _fits(arguments)
    return kind(**arguments)


def _setting(field: dataclasses.Field[Any], value: np.ndarray) -> Any:
    wanted = type(field.default)
    if value.shape != () or type(value.item()) is not wanted:
        raise ValueError(f"`{field.name}` must be one value of type {wanted.__name__}")
    return value.item()


def _array(name: str, value: np.ndarray) -> Any:
    if value.ndim not in _RANKS[name] or value.size == 0 or value.dtype.kind != "f":
        raise ValueError(f"`{name}` has shape {value.shape} and type {value.dtype}")
    if not (np.abs(value) < _LARGEST).all():
        raise ValueError(f"`{name}` holds numbers that are not finite, or too large")
    if name == "scale" and not (value > 0).all():
        raise ValueError("`scale` must be positive")
    if name == "variance" and ((value < 0).any() or (np.diff(value) > 1e-6 * value[0]).any()):
        raise ValueError("`variance` must fall, and not be negative")
    return jnp.asarray(value, jnp.float32)


def _fits(arrays: dict[str, Any]) -> None:
    """Raises ValueError unless the arrays have K components of one width, orthonormal."""
    if "components" not in arrays:
        return
    components = arrays["components"]
    shapes = {name: arrays[name].shape for name in ("mean", "components", "variance", "scale") if name in arrays}
    count = components.shape[0]
    if arrays["variance"].shape != (count,) or arrays["scale"].shape != (count,):
        raise ValueError(f"the shapes {shapes} do not fit each other")
    if components.ndim != (2 if "mean" in arrays else 3):
        raise ValueError(f"the shapes {shapes} do not fit each other")
    if "mean" in arrays and arrays["mean"].shape != components.shape[1:]:
        raise ValueError(f"the shapes {shapes} do not fit each other")
    flat = np.asarray(components, np.float64).reshape(count, -1)
    if np.abs(flat @ flat.T - np.eye(count)).max() > 1e-3:
        raise ValueError("its components are not orthonormal")
