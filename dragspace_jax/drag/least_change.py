"""The least change of the start that takes the handles along: a step of sequential quadratic programming."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from dragspace_jax.drag.method import Limits, Proposal, Pull, Terms
from dragspace_jax.drag.state import ByHandle, Lanes, Point

_HIGHEST = jax.lax.Precision.HIGHEST


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class LeastChange:
    """Minimise ½ (c − c₀)ᵀ H (c − c₀) subject to the handles' motion A (c − c₀) = what is wanted of them.

    H = I + λ M: the prior of the space, and how much the image changes per coordinate where it should stay (`metric`
    [K, K] in the edit's arrays). With S = A H⁻¹ Aᵀ, y ← (S + μ I)⁻¹ (v + A (c − c₀) + μ y), c ← c₀ + H⁻¹ Aᵀ y; v
    is the way of the handles in this step. Its fixed point is v = 0 for any μ.

    Attributes:
      stiffness: λ.
      mu: of the mean of S's diagonal.
    """

    stiffness: Any = 0.0
    mu: Any = 0.02

    per_handle = True

    def init(self, lanes: Lanes, coordinates: jax.Array) -> Any:
        """Multipliers [N, 2], and H's factor [B, K, K]."""
        width = coordinates.shape[1]
        metric = lanes.arrays["metric"]
        stiffness = jnp.broadcast_to(jnp.asarray(self.stiffness), (lanes.count,))
        h = jnp.eye(width)[None] + stiffness[:, None, None] * metric
        return {"multipliers": ByHandle(jnp.zeros_like(lanes.handles.start_yx)), "factor": jnp.linalg.cholesky(h)}

    def pull(self, lanes: Lanes, terms: Terms, pull: Pull) -> ByHandle:
        """A [N, 2, K], each handle's rows."""
        assert terms.handles is not None

        def row(axis: int) -> jax.Array:
            cotangent = jnp.zeros_like(terms.handles).at[:, axis].set(1.0)
            return pull(Terms(loss=jnp.zeros_like(terms.loss), handles=cotangent))

        rows = jnp.stack([row(0), row(1)], 1)
        return ByHandle(jnp.where(lanes.handles.valid[:, None, None], rows, 0.0))

    def propose(self, lanes: Lanes, point: Point, limits: Limits, memory: Any) -> tuple[Proposal, Any]:
        """The least change that moves every handle by at most `limits.radius` pixels towards its target."""
        lane, handles = lanes.handles.lane, lanes.handles
        assert point.coordinates is not None
        assert limits.radius is not None
        rows, factor, last = point.pulled.value, memory["factor"], memory["multipliers"].value
        here, far = point.progress.handles_yx, point.progress.distances
        share = jnp.minimum(1.0, limits.radius[lane] / jnp.maximum(far, 1e-9))
        wanted = (handles.targets_yx - here) * share[:, None]
        moved = point.coordinates - lanes.start
        carried = jnp.einsum("nik,nk->ni", rows, moved[lane], precision=_HIGHEST)
        pushed = jax.vmap(lambda f, r: jax.scipy.linalg.cho_solve((f, True), r.T).T)(factor[lane], rows)

        count = rows.shape[0]
        same = lane[:, None] == lane[None, :]
        s = jnp.einsum("nik,mjk->nimj", rows, pushed, precision=_HIGHEST)
        s = jnp.where(same[:, None, :, None], s, 0.0).reshape(2 * count, 2 * count)
        diagonal = jnp.diagonal(s).reshape(count, 2)
        mean = jax.ops.segment_sum(diagonal.sum(1), lane, num_segments=lanes.count) / jnp.maximum(
            2 * jax.ops.segment_sum(handles.valid.astype(jnp.float32), lane, num_segments=lanes.count), 1.0
        )
        mu = (jnp.asarray(self.mu) * mean + 1e-12)[lane]
        mu = jnp.where(handles.valid, mu, 1.0)[:, None]
        right = wanted + carried + mu * last
        matrix = s + jnp.diag(jnp.broadcast_to(mu, (count, 2)).reshape(-1))
        multipliers = jnp.linalg.solve(matrix, right.reshape(-1)).reshape(count, 2)
        multipliers = jnp.where(handles.valid[:, None], multipliers, 0.0)
        change = jax.ops.segment_sum(
            jnp.einsum("nik,ni->nk", pushed, multipliers, precision=_HIGHEST), lane, num_segments=lanes.count
        )
        predicted = here + jnp.einsum("nik,nk->ni", rows, (change - moved)[lane], precision=_HIGHEST)
        memory = {**memory, "multipliers": ByHandle(multipliers)}
        return Proposal(coordinates=lanes.start + change, predicted=ByHandle(predicted)), memory
