"""A bound on how far a drag leaves what the model was trained on, whatever solver moves it: `keep_within`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dragspace_jax.drag.settings import EditError
from dragspace_jax.drag.state import Lanes
from dragspace_jax.spaces import Space
from dragspace_jax.spaces.layers import LayerSpace, broadcast_layers
from dragspace_jax.spaces.prior import cached_prior
from dragspace_jax.stylegan2 import Generator

_MEAN, _WHITENING = "prior_mean", "prior_whitening"
_HIGHEST = jax.lax.Precision.HIGHEST


def prior_arrays(model: Any, space: Space) -> dict[str, Float[np.ndarray, " ..."]]:
    """What `kept_within` needs of an edit, by name: the mean of W [D], and its whitening [D, K].

    Raises:
      EditError: a model without W or with classes, or a space that does not move its layers.
    """
    if not isinstance(model, Generator) or model.config.c_dim > 0 or not isinstance(space, LayerSpace):
        raise EditError(
            "keep_within measures distances in W: it needs a StyleGAN2 without classes and a space on layers of W+",
            field="keep_within",
        )
    prior = cached_prior(model)
    return {_MEAN: prior.mean, _WHITENING: prior.components.T / np.sqrt(prior.variance)}


def kept_within(lanes: Lanes, coordinates: Float[Array, "B K"]) -> Float[Array, "B K"]:
    """Coordinates within the lanes' bound on the Mahalanobis distance, or the start's distance where that is more.

    Those beyond go back on the way to the coordinates of the mean of W, until they are; all spaces on layers are affine
    in their coordinates, so that is the root of a quadratic. Where these themselves lie beyond, because the space does
    not express what is far, the way to the start is taken. Lanes whose edits have no bound are left as they are.
    """
    if _WHITENING not in lanes.arrays:
        return coordinates
    bound = jnp.broadcast_to(jnp.asarray(lanes.settings.keep_within), (lanes.count,))
    within = jax.vmap(_within)
    return within(
        lanes.space, lanes.base, lanes.start, coordinates, lanes.arrays[_MEAN], lanes.arrays[_WHITENING], bound
    )


def _within(
    space: Any,
    base: Any,
    start: Float[Array, " K"],
    x: Float[Array, " K"],
    mean: Float[Array, " D"],
    whitening: Float[Array, "D M"],
    bound: Float[Array, ""],
) -> Float[Array, " K"]:
    def deviations(x: Float[Array, " K"]) -> Float[Array, "n M"]:
        moving = space.decode(x, base).ws[: space.layers]
        return jnp.matmul(moving - broadcast_layers(mean, space.layers), whitening, precision=_HIGHEST)

    most = jnp.maximum(jnp.square(bound), jnp.mean(jnp.square(deviations(start))))
    centre = space.coordinates(broadcast_layers(mean, space.layers))
    centre = jnp.where(jnp.mean(jnp.square(deviations(centre))) <= most, centre, start)
    inner = deviations(centre)
    way = deviations(x) - inner
    # mean((inner + t · way)²) = most; the form without a difference of like numbers, whichever sign the middle term has
    a, b, c = jnp.mean(jnp.square(way)), jnp.mean(inner * way), most - jnp.mean(jnp.square(inner))
    root = jnp.sqrt(jnp.maximum(b * b + a * c, 0.0))
    share = jnp.where(b > 0, c / jnp.maximum(root + b, 1e-12), (root - b) / jnp.maximum(a, 1e-12))
    return jnp.where(share < 1.0, centre + share * (x - centre), x)
