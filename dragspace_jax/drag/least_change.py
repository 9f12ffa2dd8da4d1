"""The least change of the start that takes the handles along: a step of sequential quadratic programming."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32

from dragspace_jax.drag.method import Limits, Proposal, Pull, Terms
from dragspace_jax.drag.metric import axes_of, kept_of, metric_of, side_of
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.drag.state import ByHandle, Lanes, Point, per_lane
from dragspace_jax.spaces import Space
from dragspace_jax.spaces.pca import PCA

_HIGHEST = jax.lax.Precision.HIGHEST
_LADDER = np.asarray([0.0, *np.logspace(0, 6, 25)], np.float32)
"""Weights λ of the image that are tried."""
_TINY = 1e-12


class _Rows(NamedTuple):
    """A step's equations, in the metric's own axes.

    Attributes:
      a: [N, 2, K], the handles' motion by coordinates.
      spectrum: [B, K], of the metric.
      lane: int32 [N].
      damping: [N], added to the diagonal of S as a share of its mean over the lane.
    """

    a: jax.Array
    spectrum: jax.Array
    lane: jax.Array
    damping: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class LeastChange:
    """Of all changes that take the handles along, the one that changes least of the image and is still likely.

    Minimise ½ (c − c₀)ᵀ H (c − c₀) with A (c − c₀) the handles' motion. H = I + λ M: the prior of a space in standard
    deviations, and how much the image changes per coordinate where it should stay, M = V diag(m) Vᵀ (`rotation` V
    [K, K] and `spectrum` m [K] in the edit's arrays). λ is the largest with which the whole change is no longer than
    `stretch` times the shortest one, that of λ = 0. With S = A H⁻¹ Aᵀ, y ← (S + μ I)⁻¹ (v + A (c − c₀) + μ y), c ← c₀
    + H⁻¹ Aᵀ y; v is the way of the handles in this step. Its fixed point is v = 0 for any μ.

    Attributes:
      stretch: how much longer than the shortest a change may be, for the sake of the image; from 1.
      within: the same where the edit says what may change; it is kept to, even if the handles then fall short.
      damping: μ, as a share of the mean of S's diagonal.
    """

    stretch: Any = 2.0
    within: Any = 20.0
    damping: Any = 0.02

    per_handle = True

    def arrays(
        self,
        *,
        model: Any,
        space: Space,
        latents: Any,
        handles_yx: Float32[np.ndarray, "n 2"],
        targets_yx: Float32[np.ndarray, "n 2"],
        region: Bool[np.ndarray, "H W"] | None,
        settings: DragSettings,
    ) -> dict[str, np.ndarray]:
        """The metric's axes, in principal components of W, and how far to follow it; other spaces have no metric.

        Returns:
          rotation [K, K] and spectrum [K], as in `Axes`, and stretch [2]: how far at no ease and at all of it.
        """
        if not isinstance(space, PCA):
            return {}
        stretch = (1.0, self.stretch) if region is None else (self.within, self.within)
        kept = kept_of(handles_yx, targets_yx, region, side=model.config.resolution, size=side_of(model))
        axes = axes_of(metric_of(settings.metric or "model", model, space, np.asarray(latents.ws), kept))
        return {"rotation": axes.rotation, "spectrum": axes.spectrum, "stretch": np.asarray(stretch, np.float32)}

    def init(self, lanes: Lanes, coordinates: Float32[Array, "B={lanes.count} K"]) -> ByHandle:
        """The multipliers y [N, 2]."""
        del coordinates
        return ByHandle(jnp.zeros_like(lanes.handles.start_yx))

    def pull(self, lanes: Lanes, terms: Terms, pull: Pull) -> ByHandle:
        """A [N, 2, K] along the metric's axes."""
        places = terms.handles
        assert places is not None

        def row(axis: int) -> jax.Array:
            return pull(Terms(loss=jnp.zeros_like(terms.loss), handles=jnp.zeros_like(places).at[:, axis].set(1.0)))

        rows = jnp.stack([row(0), row(1)], 1)
        rows = jnp.where(lanes.handles.valid[:, None, None], rows, 0.0)
        if "rotation" in lanes.arrays:
            rotation = lanes.arrays["rotation"][lanes.handles.lane]
            rows = jnp.einsum("nik,nkl->nil", rows, rotation, precision=_HIGHEST)
        return ByHandle(rows)

    def propose(self, lanes: Lanes, point: Point, limits: Limits, memory: ByHandle) -> tuple[Proposal, ByHandle]:
        """The least change that moves every handle by at most `limits.radius` pixels towards its target."""
        handles, lane, count = lanes.handles, lanes.handles.lane, lanes.count
        assert point.coordinates is not None
        assert limits.radius is not None
        assert limits.share is not None
        assert limits.ease is not None
        here, far = point.progress.handles_yx, point.progress.distances
        spectrum = lanes.arrays.get("spectrum", jnp.zeros_like(lanes.start))
        own = jnp.stack([jnp.ones(count), jnp.broadcast_to(jnp.asarray(self.stretch), (count,))], 1)
        least, most = lanes.arrays.get("stretch", own).T
        damping = jnp.broadcast_to(jnp.asarray(self.damping), (count,))[lane]
        rows = _Rows(a=point.pulled.value, spectrum=spectrum, lane=lane, damping=damping)

        moved = _rotated(lanes, point.coordinates - lanes.start)
        carried = jnp.einsum("nik,nk->ni", rows.a, moved[lane], precision=_HIGHEST)
        gap = jnp.where(handles.valid[:, None], handles.targets_yx - here, 0.0)
        stiffness = _stiffness(rows, gap + carried, least + (most - least) * limits.ease)
        share = jnp.minimum(1.0, limits.radius[lane] / jnp.maximum(far, _TINY))
        multipliers, change = _solve(rows, stiffness, gap * share[:, None] + carried, memory.value)
        change = moved + limits.share[:, None] * (change - moved)
        predicted = here + jnp.einsum("nik,nk->ni", rows.a, (change - moved)[lane], precision=_HIGHEST)
        coordinates = lanes.start + _rotated(lanes, change, back=True)
        return Proposal(coordinates=coordinates, predicted=ByHandle(predicted)), ByHandle(multipliers)

    def blank(self, lanes: Lanes) -> ByHandle:
        """The handles' places [N, 2], pixels."""
        return ByHandle(jnp.zeros_like(lanes.handles.start_yx))


def _stiffness(rows: _Rows, motion: Float32[Array, "N 2"], stretch: Float32[Array, " B"]) -> Float32[Array, " B"]:
    """λ: the largest whose change for the whole motion from the start is at most `stretch` times the shortest one."""
    count = rows.spectrum.shape[0]

    def length(stiffness: Float32[Array, " B"]) -> Float32[Array, " B"]:
        change = _solve(rows, stiffness, motion, jnp.zeros_like(motion))[1]
        return jnp.sqrt(jnp.sum(jnp.square(change), 1))

    ladder = jnp.asarray(_LADDER)
    most = stretch * length(jnp.zeros(count))

    def halved(_: jax.Array, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        fits, fails = bounds
        middle = (fits + fails) // 2
        within = length(ladder[middle]) <= most
        return jnp.where(within, middle, fits), jnp.where(within, fails, middle)

    # The length rises with λ.
    ends = jnp.zeros(count, jnp.int32), jnp.full(count, len(_LADDER), jnp.int32)
    return ladder[jax.lax.fori_loop(0, len(_LADDER).bit_length(), halved, ends)[0]]


def _solve(
    rows: _Rows, stiffness: Float32[Array, " B"], motion: Float32[Array, "N 2"], last: Float32[Array, "N 2"]
) -> tuple[Float32[Array, "N 2"], Float32[Array, "B K"]]:
    """y [N, 2] and the change c − c₀ [B, K] for a motion [N, 2] from the start and the last y; λ [B]."""
    count, lanes = rows.a.shape[0], rows.spectrum.shape[0]
    pushed = rows.a / (1.0 + stiffness[:, None] * rows.spectrum)[rows.lane][:, None]
    same = rows.lane[:, None] == rows.lane[None, :]
    s = jnp.einsum("nik,mjk->nimj", rows.a, pushed, precision=_HIGHEST)
    s = jnp.where(same[:, None, :, None], s, 0.0).reshape(2 * count, 2 * count)
    diagonal = jnp.sum(jnp.diagonal(s).reshape(count, 2), 1)
    held = 2.0 * per_lane((diagonal > 0).astype(jnp.float32), rows.lane, lanes)
    mean = per_lane(diagonal, rows.lane, lanes) / jnp.maximum(held, 1.0)
    # A handle that nothing moves, or that only fills up the arrays, has no equation of its own.
    mu = jnp.where(diagonal > 0, rows.damping * mean[rows.lane] + _TINY, 1.0)
    right = motion + mu[:, None] * last
    y = jnp.linalg.solve(s + jnp.diag(jnp.repeat(mu, 2)), right.reshape(-1)).reshape(count, 2)
    y = jnp.where((diagonal > 0)[:, None], y, 0.0)
    change = jnp.einsum("nik,ni->nk", pushed, y, precision=_HIGHEST)
    return y, jax.ops.segment_sum(change, rows.lane, num_segments=lanes)


def _rotated(lanes: Lanes, change: Float32[Array, "B K"], *, back: bool = False) -> Float32[Array, "B K"]:
    """A change of the coordinates along the metric's axes, or `back`."""
    if "rotation" not in lanes.arrays:
        return change
    return jnp.einsum("bl,bkl->bk" if back else "bk,bkl->bl", change, lanes.arrays["rotation"], precision=_HIGHEST)
