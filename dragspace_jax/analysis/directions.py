"""Directions of W by file: those of `dragspace lowrank`, of `dragspace fit-pca`, and the published scripts' arrays."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64

from dragspace_jax.arrays import UnreadableArrays, read_arrays
from dragspace_jax.errors import DragspaceError
from dragspace_jax.inputs import InputError, read_array
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces import PCA, SpaceError
from dragspace_jax.spaces.stored import load_space
from dragspace_jax.stylegan2 import Generator

Kind = Literal["lowrank", "pca", "array"]


class DirectionError(DragspaceError):
    """A file of directions that does not fit the model or is none, or a direction that is not in it."""

    def __init__(self, message: str, *, field: str = "direction") -> None:
        super().__init__(message, field=field)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Directions:
    """Directions of W, and what one unit of each is.

    Attributes:
      vectors: [K, D], one unit of each: a direction of unit length; a principal component times its standard deviation;
        or a row of an array as it stands.
      kind: `lowrank`, `pca`, or `array`.
      source: where they come from, in words, for messages and sheets.
      model: fingerprint of the model they were measured on; empty if nothing says so.
    """

    vectors: Float64[np.ndarray, "K D"]
    kind: Kind
    source: str
    model: str = ""

    @property
    def unit(self) -> str:
        """What values count, short: `sd`, or nothing for multiples of the vector."""
        return "sd" if self.kind == "pca" else ""

    def vector(self, index: int) -> Float64[np.ndarray, " D"]:
        """One unit of direction `index`. Raises DirectionError if there is none of this index."""
        if not 0 <= index < len(self.vectors):
            raise DirectionError(
                f"direction {self.source}:{index}: the file holds {len(self.vectors)} directions, "
                f"0 to {len(self.vectors) - 1}"
            )
        return self.vectors[index]


def read_directions(path: str | Path, model: Generator, *, image: int | None = None) -> Directions:
    """Directions from a file, checked against the model; nothing in it is unpickled.

    Args:
      path: `directions.npz` of `dragspace lowrank`, a basis of `dragspace fit-pca`, or a .npy [K, D] or [D].
      model: the generator.
      image: of the images whose directions `lowrank` measured, which; None: the first, or what they share.

    Raises:
      DirectionError: no such file or none of these, of another width or model, not finite, or no such image.
    """
    path = Path(path)
    if not path.is_file():
        raise DirectionError(f"direction {path}: no such file; dragspace lowrank and dragspace fit-pca write one")
    try:
        if path.suffix == ".npy":
            found = of_array(read_array(path, ""), source=path.name)
        else:
            arrays = read_arrays(path)
            found = _of_lowrank(path, arrays, image) if "directions" in arrays else _of_basis(path)
    except (UnreadableArrays, InputError, SpaceError) as error:
        raise DirectionError(f"direction {path}: not a file of directions: {error}") from error
    if image is not None and found.kind != "lowrank":
        raise DirectionError(
            f"direction {path}: only files of dragspace lowrank have images; leave `image` out", field="direction image"
        )
    check_directions(found, model)
    return found


def of_array(array: np.ndarray, *, source: str = "array") -> Directions:
    """Directions of an array [K, D] or [D]. Raises DirectionError if it is no such array of finite numbers."""
    rows = array[None] if array.ndim == 1 else array
    if rows.ndim != 2 or 0 in rows.shape or rows.dtype.kind not in "fiu":
        raise DirectionError(
            f"direction {source}: the array has shape {list(array.shape)} and type {array.dtype}; [K, D] is needed"
        )
    return Directions(vectors=_finite(rows, source), kind="array", source=source)


def of_basis(basis: PCA, *, source: str = "basis") -> Directions:
    """The components of a basis, each in its standard deviation."""
    deviations = np.sqrt(np.asarray(basis.variance, np.float64))
    vectors = deviations[:, None] * np.asarray(basis.components, np.float64)
    return Directions(vectors=_finite(vectors, source), kind="pca", source=source, model=basis.model)


def check_directions(directions: Directions, model: Generator) -> None:
    """Raises DirectionError if directions are of another width or of another model."""
    width = directions.vectors.shape[1]
    if width != model.config.w_dim:
        raise DirectionError(
            f"direction {directions.source}: its directions have width {width}; the model's W has {model.config.w_dim}"
        )
    own = fingerprint(model)
    if directions.model and directions.model != own:
        raise DirectionError(
            f"direction {directions.source}: measured on another model, {directions.model} by its fingerprint; "
            f"this one is {own}: measure directions of it (dragspace lowrank, dragspace fit-pca)"
        )


def _of_lowrank(path: Path, arrays: dict[str, np.ndarray], image: int | None) -> Directions:
    """Of one image, without the rows of zeros that fill up. See docs/formats.md."""
    rows = arrays["directions"]
    if rows.ndim != 3 or 0 in rows.shape or rows.dtype.kind != "f":
        raise DirectionError(
            f"direction {path}: `directions` has shape {list(rows.shape)} and type {rows.dtype}; [n, K, D] is needed"
        )
    if str(arrays.get("coordinates", "w")) != "w":
        raise DirectionError(f"direction {path}: its directions are of z; edits move w: measure with --coordinates w")
    chosen = 0 if image is None else image
    if not 0 <= chosen < len(rows):
        raise DirectionError(
            f"direction {path}: `image` {chosen} is not in the file, which has 0 to {len(rows) - 1}",
            field="direction image",
        )
    one = _finite(rows[chosen], path.name)
    one = one[np.any(one != 0, axis=1)]
    if not len(one):
        raise DirectionError(
            f"direction {path}: image {chosen} has no directions; take another `image` or region",
            field="direction image",
        )
    lengths = np.linalg.norm(one, axis=1, keepdims=True)
    return Directions(vectors=one / lengths, kind="lowrank", source=path.name, model=str(arrays.get("model", "")))


def _of_basis(path: Path) -> Directions:
    basis = load_space(path)
    if not isinstance(basis, PCA):
        raise DirectionError(f"direction {path}: a space of kind {basis.name} has no directions of W")
    return of_basis(basis, source=path.name)


def _finite(rows: np.ndarray, source: str) -> Float64[np.ndarray, "K D"]:
    rows = rows.astype(np.float64)
    if not np.isfinite(rows).all() or np.abs(rows).max() > 1e12:
        raise DirectionError(f"direction {source}: some numbers are not finite, or too large")
    return rows
