"""Adam with one second moment for all coordinates: a direction that only the study has."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dragspace_jax.drag.directions import stretch  # Adam's own, so that both are paced alike
from dragspace_jax.drag.method import Limits, Proposal, Pull, Terms
from dragspace_jax.drag.state import Lanes, Point

_BETA2, _EPSILON = 0.999, 1e-8
Memory = tuple[jax.Array, jax.Array, Any]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamNorm:
    """Divides the gradient by the root of its running mean square and averages it then, with Adam's bias corrections.

    As AdaGrad-Norm (arXiv 1806.01811) does to AdaGrad. In whitened coordinates the step is then the gradient's own
    direction in the metric of the latents, where Adam goes along a diagonal of ±1. Where a step size names a descent,
    the step is lengthened or shortened as Adam's is.
    """

    per_handle = False

    def arrays(self, **about: Any) -> dict[str, np.ndarray]:
        """None."""
        del about
        return {}

    def init(self, lanes: Lanes, coordinates: jax.Array) -> Memory:
        """Mean square [B], steps [B] and the average's state."""
        average = jax.vmap(_average(0.0).init)(coordinates)
        return jnp.zeros(lanes.count), jnp.zeros(lanes.count, jnp.int32), average

    def pull(self, lanes: Lanes, terms: Terms, pull: Pull) -> jax.Array:
        """[B, K], the gradient of each lane's loss."""
        handles = None if terms.handles is None else jnp.zeros_like(terms.handles)
        return pull(Terms(loss=jnp.ones_like(terms.loss), handles=handles))

    def propose(self, lanes: Lanes, point: Point, limits: Limits, memory: Memory) -> tuple[Proposal, Memory]:
        """One step at `limits.rate`, or stretched to `limits.descent`."""
        assert point.coordinates is not None
        assert limits.rate is not None
        square, count, average = memory
        square = _BETA2 * square + (1 - _BETA2) * jnp.mean(jnp.square(point.pulled), 1)
        count = count + 1
        corrected = square / (1 - jnp.power(_BETA2, count.astype(jnp.float32)))
        scaled = point.pulled / (jnp.sqrt(corrected) + _EPSILON)[:, None]
        momentum = lanes.settings.momentum

        def averaged(gradient: jax.Array, state: Any) -> tuple[Any, Any]:
            with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in int32 and mixes them with floats
                return _average(momentum).update(gradient, state)

        steps, average = jax.vmap(averaged)(scaled, average)
        moved = -limits.rate[:, None] * steps
        if limits.descent is not None:
            moved = stretch(-jnp.sum(point.pulled * moved, 1), limits.descent)[:, None] * moved
        return Proposal(coordinates=point.coordinates + moved), (square, count, average)

    def blank(self, lanes: Lanes) -> None:
        """It foresees nothing."""
        del lanes


def _average(momentum: float) -> optax.GradientTransformation:
    return optax.ema(momentum, debias=True)
