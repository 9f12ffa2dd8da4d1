"""How a region of a StyleGAN2 image, and the rest of it, change with w: the Gram matrices that subspaces come from.

The published settings (LowRankGAN, arXiv 2106.04488, section 4) are the default: the image resized to 256 px by nearest
neighbour, the mean over RGB, constant noise, one w for all layers, matrices divided by the number of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Float64, Int32

from dragspace_jax.analysis.jacobian import Channels, Image, mean_gram
from dragspace_jax.errors import DragspaceError
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.synthesis import Synthesis

PUBLISHED_SIDE = 256
Coordinates = Literal["w", "z"]


class RegionError(DragspaceError):
    """A region that leaves nothing to measure."""


def region_grams(
    model: Generator,
    w: Float[np.ndarray, " D"] | Float[np.ndarray, "L D"],
    region: Bool[np.ndarray, "H W"],
    *,
    side: int = PUBLISHED_SIDE,
    channels: Channels = "mean",
    layers: Sequence[int] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Float64[np.ndarray, "D D"], Float64[np.ndarray, "D D"]]:
    """Gram matrices of the region and of the rest of one image, in coordinates of one w for all layers.

    Args:
      model: the generator.
      w: of the image, [D], or one a layer; the coordinates are then a shift of all of them.
      region: true inside, of the image's size.
      side: the image is resized to this, by nearest neighbour. A smaller image stays as it is: enlarged by whole
        numbers it would give the same matrices.
      channels: the mean over RGB, or the three kept apart.
      layers: whose w is shifted; None: all.
      on_progress: called with 1 when the image is done.

    Returns:
      The mean squared change per squared length of w over the pixels of the region, and of the rest.

    Raises:
      RegionError: the region does not fit the image, is empty or all of it, before resizing or after.
      JacobianError: a Jacobian that is not finite.
    """
    picked = _picked(model, side)
    weights = _weights(region, model.config.resolution, picked)
    inside, rest = pixel_grams(
        model, w, weights, side=side, channels=channels, layers=layers, on_progress=on_progress
    ) / _shares(weights)
    return inside, rest


def pixel_grams(
    model: Generator,
    w: Float[np.ndarray, " D"] | Float[np.ndarray, "L D"],
    weights: Float[np.ndarray, "G S S"],
    *,
    side: int = PUBLISHED_SIDE,
    channels: Channels = "mean",
    layers: Sequence[int] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Float64[np.ndarray, "G D D"]:
    """Gram matrices of one image by weights of its pixels, any number of them from one Jacobian.

    Args:
      weights: of the pixels of the resized image, not negative.
      model, w, side, channels, layers, on_progress: as `region_grams` takes them.

    Returns:
      Sums over the weighted pixels, divided by the number of all pixels.
    """
    ws = np.broadcast_to(np.asarray(w, np.float32), (model.config.num_ws, model.config.w_dim))
    moves = np.zeros(len(ws), np.float32)
    moves[slice(None) if layers is None else list(layers)] = 1.0
    point = np.zeros(model.config.w_dim, np.float32), np.concatenate([moves[:, None], ws], axis=1)
    return _grams(_of_shift, (model.synthesis, _picked(model, side)), point, weights, channels, model, on_progress)


def region_grams_z(
    model: Generator,
    z: Float[np.ndarray, " Z"],
    region: Bool[np.ndarray, "H W"],
    *,
    psi: float = 1.0,
    side: int = PUBLISHED_SIDE,
    channels: Channels = "mean",
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Float64[np.ndarray, "Z Z"], Float64[np.ndarray, "Z Z"]]:
    """`region_grams` in coordinates of z, for a model without classes; psi truncates w in all layers."""
    picked = _picked(model, side)
    weights = _weights(region, model.config.resolution, picked)
    point = np.asarray(z, np.float32), np.float32(psi)
    found = _grams(_of_z, (model, picked), point, weights, channels, model, on_progress)
    inside, rest = found / _shares(weights)
    return inside, rest


def _grams(
    image: Image,
    of: Any,
    point: tuple[Float32[np.ndarray, " K"], Any],
    weights: Float[np.ndarray, "G S S"],
    channels: Channels,
    model: Generator,
    on_progress: Callable[[int], None] | None,
) -> Float64[np.ndarray, "G K K"]:
    config = model.config
    widest = max(count * side**2 for side, count in zip(config.block_resolutions, config.channels, strict=True))
    weights = weights.astype(np.float32)
    found = mean_gram(image, of, [point], weights, channels=channels, activation=widest, on_progress=on_progress)
    return found.astype(np.float64)


def _shares(weights: Float32[np.ndarray, "2 S S"]) -> Float64[np.ndarray, "2 1 1"]:
    """Of all pixels, those of the region and of the rest: each matrix is over its own."""
    return weights.mean((1, 2), dtype=np.float64)[:, None, None]


def _of_shift(
    of: tuple[Synthesis, Int32[Array, " S"]], shift: Float[Array, " D"], about: Float[Array, "L E"]
) -> Float[Array, "S S C"]:
    """The image of ws, shifted in those layers whose first number is 1; the other E − 1 = D are their w."""
    synthesis, picked = of
    image = synthesis((about[:, 1:] + about[:, :1] * shift[None])[None]).image
    assert image is not None  # nothing stops below the top here
    return _resized(image[0], picked)


def _of_z(of: tuple[Generator, Int32[Array, " S"]], z: Float[Array, " Z"], psi: Float[Array, ""]) -> jax.Array:
    """The image [S, S, C] of z."""
    model, picked = of
    w, mean = model.mapping.trunk(z[None], None), model.mapping.w_avg[...][None]
    ws = jnp.broadcast_to((mean + psi * (w - mean))[:, None], (1, model.config.num_ws, model.config.w_dim))
    image = model.synthesis(ws).image
    assert image is not None  # likewise
    return _resized(image[0], picked)


def _resized(image: Float[Array, "H W C"], picked: Int32[Array, " S"]) -> Float[Array, "S S C"]:
    return image[picked][:, picked]


def _picked(model: Generator, side: int) -> Int32[np.ndarray, " S"]:
    """The rows, and columns, that resizing by nearest neighbour keeps."""
    size = min(side, model.config.resolution)
    return (np.arange(size) * model.config.resolution // size).astype(np.int32)


def _weights(
    region: Bool[np.ndarray, "H W"], side: int, picked: Int32[np.ndarray, " S"]
) -> Float32[np.ndarray, "2 S S"]:
    """1 in the region, and 1 in the rest. Raises RegionError."""
    if region.shape != (side, side) or region.dtype != bool:
        raise RegionError(
            f"region has shape {region.shape} and type {region.dtype}; the image has {side} × {side} pixels, and true "
            "or false is needed for each",
            field="region",
        )
    inside = region[picked][:, picked]
    if not inside.any():
        raise RegionError("region is empty, or too small to be seen: some pixel must be in it", field="region")
    if inside.all():
        raise RegionError("region is all of the image: no rest is left that could stay", field="region")
    return np.stack([inside, ~inside]).astype(np.float32)
