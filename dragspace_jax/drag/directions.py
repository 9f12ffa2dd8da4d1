"""Directions of a drag: the published Adam."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float32

from dragspace_jax.drag.method import Limits, Proposal, Pull, Terms
from dragspace_jax.drag.state import Lanes, Point

_BETA2, _EPSILON = 0.999, 1e-8
_LEAST, _MOST = 1 / 8, 8.0  # where the loss is far from linear, a step must not run away


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam (arXiv 1412.6980) with betas `momentum` / 0.999 and eps 1e-8 (docs/design.md, fact 2).

    Where a step size names a descent, the step is lengthened or shortened, 8 times at most, until the loss would fall
    by that much along it, were it linear: a Polyak step (Polyak 1969), whose loss is known to have a least.
    """

    per_handle = False

    def arrays(self, **about: Any) -> dict[str, np.ndarray]:
        """None."""
        del about
        return {}

    def init(self, lanes: Lanes, coordinates: Float32[Array, "B={lanes.count} K"]) -> Any:
        """The moments of every lane."""
        del lanes
        return jax.vmap(_adam(0.0, 0.0).init)(coordinates)

    def pull(self, lanes: Lanes, terms: Terms, pull: Pull) -> Float32[Array, "B={lanes.count} K"]:
        """[B, K], the gradient of each lane's loss; lanes do not touch each other, so one pull gives all."""
        del lanes
        handles = None if terms.handles is None else jnp.zeros_like(terms.handles)
        return pull(Terms(loss=jnp.ones_like(terms.loss), handles=handles))

    def propose(self, lanes: Lanes, point: Point, limits: Limits, memory: Any) -> tuple[Proposal, Any]:
        """One step down the gradient at `limits.rate`; needs `point.coordinates`."""
        at, momentum = point.coordinates, lanes.settings.momentum
        assert at is not None
        assert limits.rate is not None  # the loop hands over what it has just evaluated

        def update(
            rate: Float32[Array, ""], gradient: Float32[Array, " K"], memory: Any, at: Float32[Array, " K"]
        ) -> tuple[Any, Any]:
            with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in int32 and mixes them with floats
                updates, memory = _adam(rate, momentum).update(gradient, memory)
            return optax.apply_updates(at, updates), memory

        coordinates, memory = jax.vmap(update)(limits.rate, point.pulled, memory, at)
        if limits.descent is not None:
            moved = coordinates - at
            factor = stretch(-jnp.sum(point.pulled * moved, 1), limits.descent)
            coordinates = at + factor[:, None] * moved
        return Proposal(coordinates=coordinates), memory

    def blank(self, lanes: Lanes) -> None:
        """It foresees nothing."""
        del lanes


def _adam(rate: Float32[Array, ""] | float, momentum: float) -> optax.GradientTransformation:
    return optax.adam(rate, b1=momentum, b2=_BETA2, eps=_EPSILON)


def stretch(descent: Float32[Array, " B"], wanted: Float32[Array, " B"]) -> Float32[Array, " B"]:
    """What to multiply steps by, [B], so that the loss falls as wanted; 1 where they lead uphill or nothing is wanted.

    Args:
      descent: [B], by how much the whole loss falls along the step, were it linear; the mask's term is part of it.
      wanted: [B], by how much the motion loss shall.
    """
    known = (descent > 0) & (wanted > 0)
    return jnp.where(known, jnp.clip(wanted / jnp.where(known, descent, 1.0), _LEAST, _MOST), 1.0)
