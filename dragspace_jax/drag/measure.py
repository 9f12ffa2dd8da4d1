"""What quality is made of, measured on finished edits: one rendering of their starts and ends, and few numbers of it.

The rendering passes the feature block on its way to the image, so tracking and change of the image share it; its images
are handed on, so that pictures of an edit need no other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32

from dragspace_jax.drag.edit import Edit, Outcome
from dragspace_jax.drag.patch_tracking import PatchTracking
from dragspace_jax.drag.quality import Quality
from dragspace_jax.metrics.change import away_from, box_averaged, reduction, weighted_mean
from dragspace_jax.networks import PatchReader
from dragspace_jax.spaces.layers import LayerSpace
from dragspace_jax.spaces.prior import cached_prior
from dragspace_jax.stylegan2 import Generator, Latents

if TYPE_CHECKING:
    from dragspace_jax.drag.result import DragResult

_TOGETHER = 8  # edits of an accelerator's program
_PIXELS = 2**21  # of its images: eight of 512 px
_ROWS = 4  # handles of a program at least, so that few numbers of them make few programs


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """An edit's quality, and the images it was measured on.

    Attributes:
      quality: its figures.
      images: float32, of the start and of the end, nominally in [−1, 1].
    """

    quality: Quality
    images: Float32[np.ndarray, "2 H W C"]


def edits_together(side: int) -> int:
    """How many finished edits one program measures: on a CPU none waits for another."""
    if jax.default_backend() == "cpu":
        return 1
    return max(1, min(_TOGETHER, _PIXELS // side**2 // 2))


def measure(results: Sequence[DragResult], *, together: int | None = None) -> list[Measured]:
    """The quality of edits that ran.

    Args:
      results: of edits of one model; none is invalid.
      together: edits of one program, which is filled up with copies of the last; None: `edits_together`.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for index, result in enumerate(results):
        edit = _edit(result)
        groups.setdefault((edit.settings.noise, edit.settings.dtype), []).append(index)
    found: dict[int, Measured] = {}
    for members in groups.values():
        count = edits_together(results[0].model.config.resolution) if together is None else together
        for first in range(0, len(members), count):
            chosen = members[first : first + count]
            found |= dict(zip(chosen, _measure([results[i] for i in chosen], count), strict=True))
    return [found[index] for index in range(len(results))]


def _edit(result: DragResult) -> Edit:
    assert result.edit is not None  # only invalid edits have none
    return result.edit


def _measure(results: Sequence[DragResult], count: int) -> list[Measured]:
    """The quality of up to `count` edits of one noise and type."""
    model, settings = results[0].model, _edit(results[0]).settings
    side = model.config.resolution
    filled = [results[min(index, len(results) - 1)] for index in range(count)]
    both = [latents for result in filled for latents in (result.start, result.latents)]
    stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *both)
    image, reader = _rendered(
        model,
        stacked,
        block=_block(model),
        noise=settings.noise,
        dtype=settings.dtype,
        platform=jax.default_backend(),
    )
    tracked = _tracked_back(reader, results, side)
    images = np.asarray(image).reshape(count, 2, *image.shape[1:])
    return [
        Measured(quality=_quality(result, images[index], *tracked[index]), images=images[index])
        for index, result in enumerate(results)
    ]


def _block(model: Any) -> int:
    """The block whose features all edits are judged by, whatever they followed: half the image's side, at most 128."""
    blocks, wanted = model.config.block_resolutions, min(128, model.config.resolution // 2)
    return max((block for block in blocks if block <= wanted), default=min(blocks))


@partial(jax.jit, static_argnames=("block", "noise", "dtype", "platform"))
def _rendered(
    model: Any, latents: Any, *, block: int, noise: str, dtype: str, platform: str
) -> tuple[Float[Array, "B H W C"], PatchReader]:
    """Images and the reader of their whole feature maps; latents have a leading B."""
    network = model.prepare(
        block=block, reach=1, handles=1.0, windows=False, noise=noise, dtype=dtype, platform=platform
    )
    image, features = network.image_and_features(network.styles(latents))
    rows = jnp.arange(image.shape[0], dtype=jnp.int32)
    return image, PatchReader(features=features, origin_yx=None, image=rows, grid=network.grid)


def _tracked_back(
    reader: PatchReader, results: Sequence[DragResult], side: int
) -> list[tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]]:
    """Residuals and distances of every edit's handles; the maps of edit e are rows 2e (start) and 2e + 1 (end)."""
    counts = [len(_edit(result).handles_yx) for result in results]
    rows = max(_ROWS, 2 ** math.ceil(math.log2(sum(counts))))
    start, end, image = np.zeros((rows, 2), np.float32), np.zeros((rows, 2), np.float32), np.zeros(rows, np.int32)
    start[: sum(counts)] = np.concatenate([_edit(result).handles_yx for result in results])
    end[: sum(counts)] = np.concatenate([np.asarray(result.handles_yx) for result in results])
    image[: sum(counts)] = np.repeat(np.arange(len(counts)), counts)
    settings = [_edit(result).settings for result in results]
    radius = max(each.pixels(each.radius_track, side) for each in settings)
    residual, back = (np.asarray(each) for each in _track_back(reader, start, end, image, radius=radius))
    ends = np.cumsum(counts)[:-1]
    return list(zip(np.split(residual[: sum(counts)], ends), np.split(back[: sum(counts)], ends), strict=True))


@partial(jax.jit, static_argnames="radius")
def _track_back(
    reader: PatchReader,
    start_yx: Float[Array, "N 2"],
    end_yx: Float[Array, "N 2"],
    edit: Int32[Array, " N"],
    *,
    radius: int,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Of every handle the residual of its last place, and how far from its start the way back ends, pixels."""
    tracking = PatchTracking()
    before = dataclasses.replace(reader, image=2 * edit)
    after = dataclasses.replace(reader, image=2 * edit + 1)
    first, last = tracking.patch(before, start_yx), tracking.patch(after, end_yx)
    found = tracking.refined(before, last, tracking.nearest(before, last, start_yx, radius))
    return tracking.residual(last, first), jnp.sqrt(jnp.sum(jnp.square(found - start_yx), -1))


def _quality(
    result: DragResult,
    images: Float[np.ndarray, "2 H W C"],
    residual: Float[np.ndarray, " N"],
    back_px: Float[np.ndarray, " N"],
) -> Quality:
    edit = _edit(result)
    side = images.shape[1]
    before, after = (box_averaged(image, side // reduction(side)) for image in images)
    squared = np.square(after - before).mean(-1)
    weights = away_from(edit.handles_yx, edit.targets_yx, side, len(squared))
    mask = edit.arrays.get("mask")
    masked = None if mask is None else weighted_mean(squared, box_averaged(mask, len(squared)))
    return Quality(
        reached=result.outcome == Outcome.REACHED,
        side=side,
        tolerance_px=float(edit.settings.tolerance or 0.0),
        left_px=tuple(map(float, result.distances)),
        residual=tuple(map(float, residual)),
        back_px=tuple(map(float, back_px)),
        change_outside=weighted_mean(squared, weights),
        change_masked=masked,
        **_distances(result),
    )


def _distances(result: DragResult) -> dict[str, float]:
    """Mahalanobis distances and quantiles; none for models that are no StyleGAN2, or that have classes."""
    model = result.model
    if not isinstance(model, Generator) or model.config.c_dim > 0 or not isinstance(result.latents, Latents):
        return {}
    prior, space = cached_prior(model), _edit(result).space
    moving = space.layers if isinstance(space, LayerSpace) else model.config.num_ws
    before, after = (prior.distance(np.asarray(latents.ws)[:moving]) for latents in (result.start, result.latents))
    return {
        "start_distance": before,
        "distance": after,
        "start_quantile": prior.quantile(before),
        "quantile": prior.quantile(after),
    }
