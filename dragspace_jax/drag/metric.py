"""How dear a change of the image is, per coordinate: the metric of a least-change drag.

A model's metric is its mean Gram matrix of d image / d coordinates, one for each cell of a grid over the image. What
an edit counts is a weight per cell: everything but the surroundings of its handles, or everything outside its region.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float32

from dragspace_jax.analysis.jacobian import mean_gram
from dragspace_jax.arrays import DAMAGED
from dragspace_jax.compilation_cache import cache_folder
from dragspace_jax.metrics.change import SIDE, away_from
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.parameters import fingerprint

_log = logging.getLogger(__name__)
CELLS = 8
"""Of the grid, a side."""
SAMPLES = 8
_KEPT = 2  # metrics in memory
_loaded: dict[Path, np.ndarray] = {}


def model_metric(model: Generator, space: PCA, *, on_progress: Callable[[int], None] | None = None) -> np.ndarray:
    """The model's metric in a space of principal components, computed once and kept in the user's cache.

    Args:
      model: the generator.
      space: whose coordinates are meant.
      on_progress: called with 1 after each of `SAMPLES` samples, if it is computed.

    Returns:
      [G, K, K] float32, G = CELLS² in row order: mean over samples, of squared change of the RGB image (range −1 to 1)
      in the cell per squared unit of coordinates, as a share of the whole image's pixels and channels.
    """
    path = _path(model, space)
    if path not in _loaded:
        while len(_loaded) >= _KEPT:
            del _loaded[next(iter(_loaded))]
        _loaded[path] = _kept(path, model, space, on_progress)
    return _loaded[path]


def _kept(path: Path, model: Generator, space: PCA, on_progress: Callable[[int], None] | None) -> np.ndarray:
    """The metric from its file, or else measured and written there."""
    shape = (CELLS**2, space.dim(model.config.w_dim), space.dim(model.config.w_dim))
    try:
        kept = np.load(path, allow_pickle=False)
        if kept.shape == shape and kept.dtype == np.float32 and np.isfinite(kept).all():
            return kept
        _log.warning("the kept metric %s is damaged; computing it again", path)
    except FileNotFoundError:
        pass
    except (OSError, *DAMAGED):
        _log.warning("the kept metric %s cannot be read; computing it again", path)
    metric = _measured(model, space, on_progress)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part.npy")
        np.save(partial, metric)
        partial.replace(path)
    except OSError as error:
        _log.warning("the metric could not be kept (%s: %s)", error.strerror, path.parent)
    return metric


def _path(model: Generator, space: PCA) -> Path:
    about = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(space)))
    about.update(f"{space.layers} {space.shared} {CELLS} {SIDE} {SAMPLES}".encode())
    return cache_folder() / "metrics" / f"{fingerprint(model)}-{about.hexdigest()[:16]}.npy"


def _measured(model: Generator, space: PCA, on_progress: Callable[[int], None] | None) -> np.ndarray:
    side = min(SIDE, model.config.resolution)
    synthesis = model.synthesis

    def image(coordinates: jax.Array, ws: jax.Array) -> jax.Array:
        moved = ws.at[: space.layers].add(space.displaced(coordinates) - space.displaced(jnp.zeros_like(coordinates)))
        picture = synthesis.render(synthesis.styles(moved[None]), stop_at=side, preview=True).image
        assert picture is not None
        return picture[0]

    z = np.random.RandomState(0).randn(SAMPLES, model.config.z_dim).astype(np.float32)
    zero = np.zeros(space.dim(model.config.w_dim), np.float32)
    points = ((zero, ws) for ws in np.asarray(model.mapping(jnp.asarray(z))))
    cells = np.kron(np.eye(CELLS**2).reshape(-1, CELLS, CELLS), np.ones((1, side // CELLS, side // CELLS)))
    return mean_gram(image, points, cells.astype(np.float32), on_progress=on_progress)


def away(
    handles_yx: Float[np.ndarray, "N 2"], targets_yx: Float[np.ndarray, "N 2"], side: int
) -> Float32[np.ndarray, " G"]:
    """Weights of the cells that spare the ways of the handles, as `metrics.change.away_from` has them."""
    return _by_cell(away_from(handles_yx, targets_yx, side, SIDE))


def outside(region: Bool[np.ndarray, "H W"]) -> Float32[np.ndarray, " G"]:
    """Weights of the cells: the share of each that lies outside a region, which may change."""
    return _by_cell(1.0 - region.astype(np.float64))


def _by_cell(weights: Float[np.ndarray, "H W"]) -> Float32[np.ndarray, " G"]:
    """Means over the cells of weights."""
    height, width = (length // CELLS for length in weights.shape)
    cropped = weights[: height * CELLS, : width * CELLS].reshape(CELLS, height, CELLS, width)
    return cropped.mean((1, 3)).reshape(-1).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axes:
    """A metric in its own axes: M = V diag(m) Vᵀ.

    Attributes:
      rotation: V [K, K].
      spectrum: m [K], not negative.
    """

    rotation: np.ndarray
    spectrum: np.ndarray


def axes_of(metric: Float32[np.ndarray, "G K K"], weights: Float32[np.ndarray, " G"]) -> Axes:
    """The axes of a model's metric with weights of its cells."""
    whole = np.tensordot(weights, metric, 1)
    spectrum, rotation = np.linalg.eigh(whole)
    return Axes(rotation=rotation.astype(np.float32), spectrum=np.maximum(spectrum, 0.0).astype(np.float32))
