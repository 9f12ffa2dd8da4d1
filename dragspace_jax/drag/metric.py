"""How dear a change of the image is, per coordinate: the metric of a least-change drag.

It is the Gram matrix of d image / d coordinates, weighed where the image should stay: everywhere but in the
surroundings of the handles, or outside a region. The model's is a mean over samples, one matrix for each cell of a grid
over the image, made once; an image's own is exact, and is made for every edit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32

from dragspace_jax.analysis.jacobian import mean_gram
from dragspace_jax.arrays import UnreadableArrays, read_arrays, write_arrays
from dragspace_jax.compilation_cache import cache_folder
from dragspace_jax.metrics.change import SIDE, away_from, box_averaged
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.synthesis import Synthesis

_log = logging.getLogger(__name__)
CELLS = 8
"""Of the grid, a side."""
SAMPLES = 8
"""Of the model, at which the Jacobian is taken."""
_KEPT = 2  # metrics in memory
_loaded: dict[Path, np.ndarray] = {}


def model_metric(
    model: Generator, space: PCA, *, on_progress: Callable[[int], None] | None = None
) -> Float32[np.ndarray, "G K K"]:
    """The model's metric in a space of principal components, computed once and kept in the user's cache.

    Args:
      model: the generator.
      space: whose coordinates are meant.
      on_progress: called with 1 after each of `SAMPLES` samples, if it is computed.

    Returns:
      G = CELLS² matrices in row order: the mean over samples of the squared change of the RGB image (range −1 to 1)
      in the cell per squared unit of coordinates, as a share of the whole image's pixels and channels.
    """
    path = _path(model, space)
    if path not in _loaded:
        while len(_loaded) >= _KEPT:
            del _loaded[next(iter(_loaded))]
        _loaded[path] = _kept(path, model, space, on_progress)
    return _loaded[path]


def _kept(
    path: Path, model: Generator, space: PCA, on_progress: Callable[[int], None] | None
) -> Float32[np.ndarray, "G K K"]:
    """The metric from its file, or else measured and written there."""
    width = space.dim(model.config.w_dim)
    try:
        kept = read_arrays(path).get("metric")
        if kept is not None and kept.shape == (CELLS**2, width, width) and np.isfinite(kept).all():
            return kept.astype(np.float32)
        _log.warning("the kept metric %s is damaged; computing it again", path)
    except FileNotFoundError:
        pass
    except UnreadableArrays as error:
        _log.warning("%s; computing the metric again", error)
    metric = _measured(model, space, on_progress)
    try:
        write_arrays(path, {"metric": metric})
    except OSError as error:
        _log.warning("the metric could not be kept (%s: %s)", error.strerror, path.parent)
    return metric


def _path(model: Generator, space: PCA) -> Path:
    about = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(space)))
    about.update(f"{space.layers} {space.shared} {CELLS} {SIDE} {SAMPLES}".encode())
    return cache_folder() / "metrics" / f"{fingerprint(model)}-{about.hexdigest()[:16]}.npz"


def _measured(model: Generator, space: PCA, on_progress: Callable[[int], None] | None) -> Float32[np.ndarray, "G K K"]:
    z = np.random.RandomState(0).randn(SAMPLES, model.config.z_dim).astype(np.float32)
    zero = np.zeros(space.dim(model.config.w_dim), np.float32)
    points = ((zero, ws) for ws in np.asarray(model.mapping(jnp.asarray(z))))
    side = side_of(model)
    cell = np.arange(side) * CELLS // side
    inside = (cell[:, None] * CELLS + cell[None, :])[None] == np.arange(CELLS**2)[:, None, None]
    return mean_gram(_preview, (model.synthesis, space), points, inside.astype(np.float32), on_progress=on_progress)


def image_metric(
    model: Generator, space: PCA, ws: Float[np.ndarray, "L D"], weights: Float[np.ndarray, "S S"]
) -> Float32[np.ndarray, "K K"]:
    """The metric of one image: the squared change of its RGB per squared unit of coordinates, in the model's units.

    Args:
      model: the generator.
      space: whose coordinates are meant.
      ws: of the image.
      weights: of the pixels of a small picture, `side_of` the model.
    """
    point = np.zeros(space.dim(model.config.w_dim), np.float32), ws
    return mean_gram(_preview, (model.synthesis, space), [point], np.asarray(weights, np.float32)[None])[0]


def side_of(model: Generator) -> int:
    """Of the picture that a metric is taken of."""
    return min(SIDE, model.config.resolution)


def _preview(
    of: tuple[Synthesis, PCA], coordinates: Float[Array, " K"], ws: Float[Array, "L D"]
) -> Float[Array, "S S 3"]:
    """A small picture of ws moved by coordinates."""
    synthesis, space = of
    moved = ws.at[: space.layers].add(space.displaced(coordinates) - space.displaced(jnp.zeros_like(coordinates)))
    side = min(SIDE, synthesis.config.resolution)
    picture = synthesis.render(synthesis.styles(moved[None]), stop_at=side, preview=True).image
    assert picture is not None  # asked for
    return picture[0]


def kept_of(
    handles_yx: Float[np.ndarray, "N 2"],
    targets_yx: Float[np.ndarray, "N 2"],
    region: Bool[np.ndarray, "H H"] | None,
    *,
    side: int,
    size: int,
) -> Float[np.ndarray, "S S"]:
    """How much the image should stay, from 0 to 1, for a picture of `size` of an image of `side` pixels.

    Outside the region, if there is one; else away from the handles' ways, as `metrics.change.away_from` has it.
    """
    if region is None:
        return away_from(handles_yx, targets_yx, side, size)
    return box_averaged(1.0 - region, size)


def by_cell(weights: Float[np.ndarray, "S S"]) -> Float32[np.ndarray, " G"]:
    """Means over the cells."""
    return box_averaged(weights, CELLS).reshape(-1).astype(np.float32)


def metric_of(
    which: Literal["model", "image"],
    model: Generator,
    space: PCA,
    ws: Float[np.ndarray, "L D"],
    kept: Float[np.ndarray, "S S"],
) -> Float[np.ndarray, "K K"]:
    """The model's metric or the image's own, of what should be `kept_of` an edit."""
    if which == "image":
        return image_metric(model, space, ws, kept)
    return np.tensordot(by_cell(kept), model_metric(model, space), 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axes:
    """A metric in its own axes: M = V diag(m) Vᵀ.

    Attributes:
      rotation: V [K, K].
      spectrum: m [K], not negative.
    """

    rotation: np.ndarray
    spectrum: np.ndarray


def axes_of(metric: Float[np.ndarray, "K K"]) -> Axes:
    """The axes of a metric."""
    spectrum, rotation = np.linalg.eigh(metric)
    return Axes(rotation=rotation.astype(np.float32), spectrum=np.maximum(spectrum, 0.0).astype(np.float32))
