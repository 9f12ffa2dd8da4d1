"""Gradients of the mean-pooled image with respect to every style channel, all of them, exactly.

Forward, a tangent of every channel passes through the whole network; in reverse, a cotangent of every output does.
Here the two meet at the output of a low block: below it the channels' tangents, which are cheap there; above it the
outputs' cotangents, in windows, since an output sees but a part of every map. The image is the sum of the blocks' RGB,
up-sampled and pooled by matrices, so no image is made.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32

from dragspace_jax.stylegan2.block import Kernels, Styles
from dragspace_jax.stylegan2.config import GeneratorConfig
from dragspace_jax.stylegan2.synthesis import Synthesis
from dragspace_jax.stylegan2.tile import Tile
from dragspace_jax.stylegan2.windows import WindowPlan, window_chain

SIDE = 32
"""Of the pooled image (StyleSpace, arXiv 2011.12799, section 4.1)."""
_CELLS = 64  # outputs whose cotangents are pulled back at once
_TANGENTS = 32  # channels whose tangents are pushed forward at once
_HIGHEST = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True, kw_only=True)
class PooledPlan:
    """Where tangents and cotangents meet; hashable.

    Attributes:
      side: S of the pooled image.
      meeting: resolution of the block at whose output they meet.
      windows: the blocks above, in windows of an output.
    """

    side: int
    meeting: int
    windows: WindowPlan

    def multiply_adds(self, config: GeneratorConfig) -> int:
        """Of the convolutions of one image's gradients, and of the products where tangents meet cotangents."""
        cells = self.side**2
        low = sum(_whole(config, r) for r in config.block_resolutions if r <= self.meeting)
        channels = sum(_channels(config, r) for r in config.block_resolutions if r <= self.meeting)
        # A pass forward for a cell's three outputs, and one back for each.
        high = 4 * cells * self.windows.multiply_adds(config)
        numbers = self.meeting**2 * config.block_channels(self.meeting)
        return (1 + channels) * low + high + 3 * cells * channels * numbers


def forward_multiply_adds(config: GeneratorConfig) -> int:
    """Of the convolutions that a tangent of every channel through the whole network would take."""
    resolutions = config.block_resolutions
    return sum(_channels(config, r) for r in resolutions) * sum(_whole(config, r) for r in resolutions)


def plan_pooled(config: GeneratorConfig, *, side: int = SIDE, meeting: int | None = None) -> PooledPlan:
    """The plan with the fewest multiply-adds.

    Args:
      config: the network's.
      side: S of the pooled image; an image that is smaller stays as it is.
      meeting: resolution of the block to meet at, if not where it costs least.
    """
    side = min(side, config.resolution)
    chain = window_chain(config, config.resolution, config.resolution // side)
    plans = [
        PooledPlan(
            side=side,
            meeting=window.resolution // 2,
            windows=WindowPlan(top=config.resolution, blocks=tuple(chain[start:])),
        )
        for start, window in enumerate(chain)
        if meeting in (None, window.resolution // 2)
    ]
    return min(plans, key=lambda plan: plan.multiply_adds(config))


def pooled_gradients(
    synthesis: Synthesis, styles: Styles, plan: PooledPlan, kernels: Kernels
) -> dict[str, Float32[Array, "S S 3 C"]]:
    """d pooled image / d styles of one image, of every convolution that is no ToRGB.

    Args:
      synthesis: the network.
      styles: {name: [1, C]}, of all convolutions.
      plan: `plan_pooled` of the network's config.
      kernels: `Synthesis.kernels` up to the top.

    Returns:
      {name: [S, S, 3, C]}, in the order of the network.
    """
    matrices = {r: jnp.asarray(m) for r, m in _matrices(synthesis.config, plan.side).items()}
    moved = [name for name in synthesis.layer_of() if not name.endswith("torgb")]
    low = {name: styles[name] for name in moved if _resolution(name) <= plan.meeting}
    high = {name: styles[name] for name in moved if _resolution(name) > plan.meeting}

    def below(low: Styles) -> tuple[jax.Array, jax.Array]:
        return _below(synthesis, {**styles, **low}, plan, matrices, kernels)

    def above(x: jax.Array, high: Styles, cells: jax.Array) -> jax.Array:
        return _above(synthesis, x, {**styles, **high}, plan, matrices, kernels, cells)

    (meeting, _), push = jax.linearize(below, low)
    counts = [style.shape[1] for style in low.values()]
    splits = np.cumsum(counts)[:-1]

    def tangent(row: jax.Array) -> tuple[jax.Array, jax.Array]:
        parts = jnp.split(row, splits)
        return push({name: part[None] for name, part in zip(low, parts, strict=True)})

    at_meeting, pooled = jax.lax.map(tangent, jnp.eye(sum(counts)), batch_size=_TANGENTS)
    flat = at_meeting.reshape(sum(counts), -1)

    def cotangents(cells: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        rows = len(cells)
        copies = jnp.broadcast_to(meeting, (rows, *meeting.shape[1:]))
        each = {name: jnp.broadcast_to(style, (rows, style.shape[1])) for name, style in high.items()}
        value, pull = jax.vjp(lambda x, s: above(x, s, cells), copies, each)
        found = [pull(jnp.broadcast_to(jnp.eye(3)[c], value.shape)) for c in range(3)]
        x_slopes = jnp.stack([x.reshape(rows, -1) for x, _ in found], 1)
        through = jnp.einsum("nrx,kx->nrk", x_slopes, flat, precision=_HIGHEST)
        return through, {name: jnp.stack([s[name] for _, s in found], 1) for name in high}

    cells = jnp.stack(jnp.meshgrid(*[jnp.arange(plan.side, dtype=jnp.int32)] * 2, indexing="ij"), -1).reshape(-1, 2)
    together = min(_CELLS, len(cells))
    through, of_high = jax.lax.map(cotangents, cells.reshape(-1, together, 2))
    shape = (plan.side, plan.side, 3)
    of_low = through.reshape(*shape, -1) + pooled[:, 0].transpose(1, 2, 3, 0)
    found = dict(zip(low, jnp.split(of_low, splits, axis=-1), strict=True))
    found |= {name: slope.reshape(*shape, -1) for name, slope in of_high.items()}
    return {name: found[name] for name in moved}  # JAX sorts the keys of what it maps over


def _below(
    synthesis: Synthesis,
    styles: Styles,
    plan: PooledPlan,
    matrices: dict[int, jax.Array],
    kernels: Kernels,
) -> tuple[Float[Array, "1 m m C"], Float[Array, "1 S S 3"]]:
    """The output of the block where they meet, and what the RGB up to there adds to the pooled image."""
    x = synthesis.constant(styles)
    pooled = jnp.zeros((1, plan.side, plan.side, 3))
    for resolution in [r for r in synthesis.config.block_resolutions if r <= plan.meeting]:
        block = synthesis.block(resolution)
        x = block.features(x, styles, noise="const", kernels=kernels)
        if block.has_torgb:
            rgb, matrix = block.torgb(x, styles[f"b{resolution}.torgb"]), matrices[resolution]
            pooled = pooled + jnp.einsum("sh,nhwc,tw->nstc", matrix, rgb, matrix, precision=_HIGHEST)
    return x.values, pooled


def _above(
    synthesis: Synthesis,
    x: Float[Array, "N m m C"],
    styles: Styles,
    plan: PooledPlan,
    matrices: dict[int, jax.Array],
    kernels: Kernels,
    cells: Int32[Array, "N 2"],
) -> Float[Array, "N 3"]:
    """What the blocks above add to one pixel of the pooled image each."""
    origins = plan.windows.origins(cells * (synthesis.config.resolution // plan.side))
    first = plan.windows.blocks[0]
    tile = Tile.whole(x).window(origins[first.resolution][0], first.reads, jnp.arange(len(cells), dtype=jnp.int32))
    pooled = jnp.zeros((len(cells), 3))
    for window in plan.windows.blocks:
        block, origin = synthesis.block(window.resolution), origins[window.resolution][1]
        tile, _ = block.stages(tile, styles, noise="const", kernels=kernels, window=(origin, window.gives))
        if block.has_torgb:
            style = jnp.broadcast_to(styles[f"b{window.resolution}.torgb"], (len(cells), tile.values.shape[3]))
            rows, columns = (
                _weights(matrices[window.resolution], cells[:, axis], origin[:, axis], window.gives) for axis in (0, 1)
            )
            rgb = block.torgb(tile, style)
            pooled = pooled + jnp.einsum("nh,nhwc,nw->nc", rows, rgb, columns, precision=_HIGHEST)
    return pooled


@partial(jax.vmap, in_axes=(None, 0, 0, None))
def _weights(
    matrix: Float[Array, "S R"], cell: Int32[Array, ""], origin: Int32[Array, ""], size: int
) -> Float[Array, " size"]:
    """Of a cell's row, the part under a window; outside of the map nothing weighs."""
    places = origin + jnp.arange(size, dtype=jnp.int32)
    inside = (places >= 0) & (places < matrix.shape[1])
    return jnp.where(inside, matrix[cell, jnp.clip(places, 0, matrix.shape[1] - 1)], 0.0)


def _matrices(config: GeneratorConfig, side: int) -> dict[int, Float32[np.ndarray, "S R"]]:
    """{resolution: what takes an axis of its RGB to one of the pooled image}: up-sampled to the top, then pooled."""
    top = config.resolution
    matrix = np.kron(np.eye(side), np.full((1, top // side), side / top))
    taps = 2.0 * np.asarray(config.resample_filter[::-1]) / np.sum(config.resample_filter)
    found = {}
    for resolution in sorted(config.block_resolutions, reverse=True):
        found[resolution] = matrix.astype(np.float32)
        matrix = matrix @ _upsampling(taps, resolution // 2)
    return found


def _upsampling(taps: Float[np.ndarray, " 4"], size: int) -> Float[np.ndarray, "_ _"]:
    """[2 size, size], one axis of `resample.upsample_valid` of a map with zeros around it."""
    matrix = np.zeros((2 * size, size))
    for i in range(size):
        matrix[2 * i, i], matrix[2 * i + 1, i] = taps[2], taps[1]
        if i > 0:
            matrix[2 * i, i - 1] = taps[0]
        if i + 1 < size:
            matrix[2 * i + 1, i + 1] = taps[3]
    return matrix


def _resolution(name: str) -> int:
    return int(name.split(".")[0].removeprefix("b"))


def _channels(config: GeneratorConfig, resolution: int) -> int:
    """Style channels of a block without its ToRGB: those its convolutions read."""
    own = config.block_channels(resolution)
    return own if resolution == 4 else config.block_channels(resolution // 2) + own


def _whole(config: GeneratorConfig, resolution: int) -> int:
    """Multiply-adds of a block's convolutions on the whole map."""
    own = config.block_channels(resolution)
    if resolution == 4:
        return 9 * 16 * own**2
    return 9 * own * ((resolution // 2) ** 2 * config.block_channels(resolution // 2) + resolution**2 * own)
