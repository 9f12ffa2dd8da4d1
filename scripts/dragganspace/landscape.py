"""The landscape of a drag's loss: where its gradient lies among the components, and what two roads cross.

The motion loss moves with the handle, so it has no landscape of its own. What a drag is after has one: how well the
features at the target match those that the handle had at the start (what tracking compares, over a patch).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.spaces import DEFAULT_LAYERS, Displacement
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.network import PreparedSynthesis
from scripts.dragganspace.edits import StudyEdit

BLOCK = 64
"""Whose features are compared: those that the study's drags follow."""
_PATCH = 7  # px
_BATCH = 32


def whole_maps(model: Generator, block: int) -> PreparedSynthesis:
    """The model made ready to give whole maps of a block's features, one handle an image."""
    return model.prepare(
        block=block,
        reach=_PATCH,
        handles=1,
        windows=False,
        noise="const",
        dtype="float32",
        platform=jax.devices()[0].platform,
    )


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """How far the features at targets are from those of the handles at the start, for latents of one edit.

    Attributes:
      network: made ready to give whole maps.
    """

    network: PreparedSynthesis

    @classmethod
    def of(cls, model: Generator) -> Mismatch:
        return cls(whole_maps(model, BLOCK))

    def patch(self, ws: jax.Array, point_yx: jax.Array) -> jax.Array:
        """Features [B, 7, 7, C] around a point [2] of latents [B, L, D]."""
        count = ws.shape[0]
        points, lane = jnp.broadcast_to(point_yx[None], (count, 2)), jnp.arange(count, dtype=jnp.int32)
        reader = self.network.features(self.network.styles(Latents(ws=ws)), points, lane)
        return reader.patches(jnp.round(points).astype(jnp.int32) - _PATCH // 2, _PATCH)

    def __call__(self, ws: jax.Array, start: jax.Array, handle_yx: jax.Array, target_yx: jax.Array) -> jax.Array:
        """[B]: mean absolute difference for latents ws [B, L, D] of an edit that started at [L, D]."""
        wanted = jax.lax.stop_gradient(self.patch(start[None], handle_yx))
        found = self.patch(ws, target_yx)
        return jnp.mean(jnp.abs(found - jnp.broadcast_to(wanted, found.shape)), (1, 2, 3))


def _points(edit: StudyEdit) -> tuple[jax.Array, jax.Array, jax.Array]:
    return jnp.asarray(edit.ws), jnp.asarray(edit.handle_yx, jnp.float32), jnp.asarray(edit.target_yx, jnp.float32)


def gradient_shares(
    model: Generator, edits: Sequence[StudyEdit], pca: PCA, moved: Displacement | None
) -> dict[str, np.ndarray]:
    """How much of the gradient's square the first k components hold at the start, mean over edits: {name: [k]}.

    `variance` beside it is how much of W's variance they hold: an image moves there, whether a drag wants it or not.
    Without displacements none are looked at.
    """
    mismatch, layers = Mismatch.of(model), DEFAULT_LAYERS
    gradient = jax.jit(jax.grad(lambda ws, start, h, t: mismatch(ws[None], start, h, t)[0]))
    axes = np.asarray(pca.components, np.float64)
    joint = None if moved is None else np.asarray(moved.components, np.float64).reshape(len(moved.components), -1)
    shares: dict[str, list[np.ndarray]] = {"PCA": []} | ({} if joint is None else {"displacements": []})
    for edit in edits:
        start, handle, target = _points(edit)
        g = np.asarray(gradient(start, start, handle, target), np.float64)[:layers]
        total = np.sum(np.square(g))
        shares["PCA"].append(np.cumsum(np.square(g @ axes.T).sum(0)) / total)
        if joint is not None:
            shares["displacements"].append(np.cumsum(np.square(joint @ g.reshape(-1))) / total)
    variance = np.asarray(pca.variance, np.float64)
    return {
        **{name: np.mean(values, 0) for name, values in shares.items()},
        "variance": np.cumsum(variance) / variance.sum(),
    }


def plane(
    model: Generator, edit: StudyEdit, ends: tuple[np.ndarray, np.ndarray], side: int
) -> tuple[np.ndarray, np.ndarray]:
    """The mismatch over the plane through the start and two drags' ends.

    Args:
      model, edit: the subject.
      ends: two latents [L, D].
      side: points along each axis.

    Returns:
      positions [side] in units of the ways start → end, and mismatch [side, side]: rows along the second end.
    """
    mismatch = Mismatch.of(model)
    start, handle, target = _points(edit)
    values = jax.jit(lambda ws: mismatch(ws, start, handle, target))
    positions = np.linspace(-0.4, 1.4, side)
    first, second = (np.asarray(end) - edit.ws for end in ends)
    rows, columns = np.meshgrid(positions, positions, indexing="ij")
    ws = edit.ws[None] + columns.reshape(-1, 1, 1) * first[None] + rows.reshape(-1, 1, 1) * second[None]
    filled = np.concatenate([ws, np.repeat(ws[-1:], -len(ws) % _BATCH, 0)]).astype(np.float32)
    found = [np.asarray(values(jnp.asarray(filled[i : i + _BATCH]))) for i in range(0, len(filled), _BATCH)]
    return positions, np.concatenate(found)[: len(ws)].reshape(side, side)


def roads(model: Generator, edits: Sequence[StudyEdit], ends: Sequence[np.ndarray], points: int) -> np.ndarray:
    """The mismatch along the straight way from each start to its end, over that at the start: [E, points]."""
    mismatch = Mismatch.of(model)
    values = jax.jit(lambda *where: mismatch(*where))
    share = np.linspace(0.0, 1.0, points)[:, None, None]
    profiles = []
    for edit, end in zip(edits, ends, strict=True):
        start, handle, target = _points(edit)
        ws = (edit.ws[None] + share * (np.asarray(end) - edit.ws)[None]).astype(np.float32)
        found = np.asarray(values(jnp.asarray(ws), start, handle, target))
        profiles.append(found / found[0])
    return np.stack(profiles)
