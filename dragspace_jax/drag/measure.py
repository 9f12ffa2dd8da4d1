"""What quality is made of, measured on finished edits: features near the handles and a small picture, before and after.

A whole rendering would cost as much as a dozen windowed iterations. The windows give what tracking asks for, and the
image up to block 32 tells how much changed where nothing should: in rank as the whole image does.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from dragspace_jax.drag.edit import Edit, Outcome
from dragspace_jax.drag.patch_tracking import PatchTracking
from dragspace_jax.drag.quality import Quality
from dragspace_jax.drag.result import DragResult
from dragspace_jax.kept_programs import KeptJit
from dragspace_jax.metrics.change import away_from, box_averaged, reduction, weighted_mean
from dragspace_jax.networks import Network, PatchReader
from dragspace_jax.placement import platform_of
from dragspace_jax.spaces.layers import LayerSpace
from dragspace_jax.spaces.prior import cached_prior
from dragspace_jax.stylegan2 import Generator, Latents

TOGETHER = 8
"""Edits of an accelerator's program."""
_MARGIN = 6  # px around a tracking window into which a place may be refined
_prepared: list[tuple[Any, list[Any], Network]] = []  # the last one: what it was made for, the model's arrays, and it


def edits_together(model: Any) -> int:
    """How many finished edits one program measures: on a CPU none waits for another."""
    return 1 if platform_of(model) == "cpu" else TOGETHER


def measure(results: Sequence[DragResult], *, together: int | None = None) -> list[Quality]:
    """The quality of edits that ran.

    Args:
      results: of edits of one model; none is invalid.
      together: edits of one program, which is filled up with copies of the last; None: `edits_together`.
    """
    groups: dict[tuple[str, str, int], list[int]] = {}
    for index, result in enumerate(results):
        settings, radius = _edit(result).settings, _radius(result.model, _edit(result))
        groups.setdefault((settings.noise, settings.dtype, radius), []).append(index)
    found: dict[int, Quality] = {}
    for (noise, dtype, radius), members in groups.items():
        count = edits_together(results[0].model) if together is None else together
        network = _network(results[0].model, noise, dtype, radius)
        for first in range(0, len(members), count):
            chosen = members[first : first + count]
            qualities = _measure(network, [results[i] for i in chosen], count, radius)
            found |= dict(zip(chosen, qualities, strict=True))
    return [found[index] for index in range(len(results))]


def _radius(model: Any, edit: Edit) -> int:
    """Of tracking, pixels."""
    return edit.settings.pixels(edit.settings.radius_track, model.config.resolution)


def _places(handles: int) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "N 2"], Int32[np.ndarray, " N"]]:
    """Zeros for the first and the last places of so many handles, and whose they are."""
    rows = 4 ** math.ceil(math.log(handles, 4))  # few programs for any number
    return np.zeros((rows, 2), np.float32), np.zeros((rows, 2), np.float32), np.zeros(rows, np.int32)


def _edit(result: DragResult) -> Edit:
    assert result.edit is not None  # only invalid edits have none
    return result.edit


def _network(model: Any, noise: str, dtype: str, radius: int) -> Network:
    """The model made ready; all edits are judged by one block, half the image's side and at most 128, whatever they
    followed."""
    leaves, key = jax.tree.leaves(model), (noise, dtype, radius)
    for kept_key, kept_leaves, network in _prepared:
        if kept_key == key and len(leaves) == len(kept_leaves) and all(map(_same, leaves, kept_leaves)):
            return network
    side, blocks = model.config.resolution, model.config.block_resolutions
    block = max((block for block in blocks if block <= min(128, side // 2)), default=min(blocks))
    network = model.prepare(
        block=block,
        reach=radius + PatchTracking().arm * max(1, side // block) + _MARGIN,
        handles=2.0,
        windows=True,
        noise=noise,
        dtype=dtype,
        platform=platform_of(model),
    )
    _prepared[:] = [(key, leaves, network)]
    return network


def _same(one: Any, other: Any) -> bool:
    return one is other


def _measure(network: Network, results: Sequence[DragResult], count: int, radius: int) -> list[Quality]:
    """The quality of up to `count` edits."""
    filled = [results[min(index, len(results) - 1)] for index in range(count)]
    both = [latents for result in filled for latents in (result.start, result.latents)]
    stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *both)
    counts = [len(_edit(result).handles_yx) for result in results]
    handles = sum(counts)
    start, end, owner = _places(handles)
    start[:handles] = np.concatenate([_edit(result).handles_yx for result in results])
    end[:handles] = np.concatenate([np.asarray(result.handles_yx) for result in results])
    owner[:handles] = np.repeat(np.arange(len(counts)), counts)
    measured = _compiled(radius)(network, stacked, start, end, owner)
    small, residual, back = (np.asarray(each) for each in measured)
    ends = np.cumsum(counts)
    return [
        _quality(result, small[2 * index], small[2 * index + 1], residual[last - n : last], back[last - n : last])
        for index, (result, n, last) in enumerate(zip(results, counts, ends, strict=True))
    ]


@functools.cache
def _compiled(radius: int) -> KeptJit:
    """`_program`, compiled, for a radius of tracking."""
    return KeptJit(partial(_program, radius=radius), name=f"quality {radius}", results=lambda *_: (0, 0, 0))


def _program(
    network: Network,
    latents: Any,
    start_yx: Float[Array, "N 2"],
    end_yx: Float[Array, "N 2"],
    edit: Int32[Array, " N"],
    *,
    radius: int,
) -> tuple[Float[Array, "B S S C"], Float[Array, " N"], Float[Array, " N"]]:
    """Small pictures, and of every handle the residual of its last place and how far from its start the way back ends.

    Latents have a leading B; those of edit e are rows 2e (start) and 2e + 1 (end).
    """
    styles = network.styles(latents)
    preview = network.preview(styles)
    count, side, factor = len(preview), preview.shape[1], reduction(preview.shape[1])
    boxes = preview.reshape(count, side // factor, factor, side // factor, factor, preview.shape[3])
    small = jnp.mean(boxes, (2, 4))
    reader = network.features(styles, jnp.concatenate([start_yx, end_yx]), jnp.concatenate([2 * edit, 2 * edit + 1]))
    count, tracking = len(start_yx), PatchTracking()
    before, after = _rows(reader, slice(0, count)), _rows(reader, slice(count, 2 * count))
    first, last = tracking.patch(before, start_yx), tracking.patch(after, end_yx)
    back = tracking.track(before, last, start_yx, radius).places
    return small, tracking.residual(last, first), jnp.sqrt(jnp.sum(jnp.square(back - start_yx), -1))


def _rows(reader: PatchReader, rows: slice) -> PatchReader:
    """A reader for some of the points."""
    if reader.origin_yx is None:
        return dataclasses.replace(reader, image=reader.image[rows])
    return dataclasses.replace(
        reader, features=reader.features[rows], origin_yx=reader.origin_yx[rows], image=reader.image[rows]
    )


def _quality(
    result: DragResult,
    before: Float[np.ndarray, "S S C"],
    after: Float[np.ndarray, "S S C"],
    residual: Float[np.ndarray, " N"],
    back_px: Float[np.ndarray, " N"],
) -> Quality:
    edit, side = _edit(result), result.model.config.resolution
    squared = np.square(after - before).mean(-1)
    weights = away_from(edit.handles_yx, edit.targets_yx, side, len(squared))
    stays = np.zeros(0) if edit.region is None else box_averaged(1.0 - edit.region, len(squared))
    return Quality(
        reached=result.outcome == Outcome.REACHED,
        side=side,
        tolerance_px=float(edit.settings.tolerance or 0.0),
        left_px=tuple(map(float, result.distances)),
        residual=tuple(map(float, residual)),
        back_px=tuple(map(float, back_px)),
        change_outside=weighted_mean(squared, weights),
        change_kept=weighted_mean(squared, stays) if stays.any() else None,
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
