"""How far handles are from their targets."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float32

from dragspace_jax.drag.motion import distances
from dragspace_jax.drag.state import ByHandle, Lanes, Progress, per_lane


def progress_of(lanes: Lanes, handles_yx: Float32[Array, "N 2"]) -> Progress:
    """The progress of lanes whose handles were tracked at handles_yx, in pixels."""
    lane, count = lanes.handles.lane, lanes.count
    far = jnp.where(lanes.handles.valid, distances(handles_yx, lanes.handles.targets_yx), 0.0)
    tolerance = jnp.asarray(lanes.settings.tolerance)[lane]
    return Progress(
        left=jnp.zeros(count, far.dtype).at[lane].max(far),
        total=per_lane(far, lane, count),
        reached=per_lane((far > tolerance).astype(jnp.int32), lane, count) == 0,
        handles=ByHandle((handles_yx, far)),
    )
