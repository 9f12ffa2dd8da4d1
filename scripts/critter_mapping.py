"""The mapping network of the embedded models, fitted by itself to the world's own map and then held still.

The entangling map is hard to learn through pictures and easy to learn by itself: a w of which the attributes'
unsquashed variables are linear functions. Trained on through pictures it gets worse again, so the synthesis adapts to
it instead.
"""

from __future__ import annotations

from typing import Any

import click
import jax
import jax.numpy as jnp
import optax
from flax import nnx

from dragspace_jax.critters import LATENT_DIM
from dragspace_jax.critters.attributes import unsquashed
from dragspace_jax.stylegan2.mapping import Mapping, normalise_second_moment

RATE = {"fresh": 2e-2, "trained": 5e-3}


def fit_mapping(mapping: Mapping, *, steps: int, near: float = 0.0, batch: int = 512) -> Mapping:
    """A mapping whose w [B, D] the unsquashed variables [B, A] are linear functions of, of unit mean square.

    With `near` above 0 the mapping is a trained one, and that much of the squared change of w is added to the loss, so
    that a synthesis trained with it has little to learn anew.
    """
    graph, params = nnx.split(mapping)
    before = params
    trainable = (params, jnp.zeros((mapping.w_avg[...].shape[0] + 1, unsquashed(jnp.ones((1, LATENT_DIM))).shape[1])))
    optimiser = optax.adam(optax.cosine_decay_schedule(RATE["trained" if near else "fresh"], steps))

    def objective(trainable: Any, z: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        w = nnx.merge(graph, trainable[0]).trunk(z, None)
        probed = jnp.matmul(w, trainable[1][1:]) + trainable[1][:1]
        unexplained = jnp.mean(jnp.square(probed - unsquashed(normalise_second_moment(z))))
        moved = jnp.mean(jnp.square(w - nnx.merge(graph, before).trunk(z, None))) if near else jnp.float32(0.0)
        return unexplained + near * moved, (unexplained, moved)

    def step(carry: tuple, index: jax.Array) -> tuple[tuple, tuple[jax.Array, jax.Array]]:
        trainable, state = carry
        z = jax.random.normal(jax.random.fold_in(jax.random.key(1), index), (batch, LATENT_DIM))
        (_, parts), gradient = jax.value_and_grad(objective, has_aux=True)(trainable, z)
        updates, state = optimiser.update(gradient, state, trainable)
        return (optax.apply_updates(trainable, updates), state), parts

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, jnp.arange(steps)))
    ((params, _), _), (unexplained, moved) = run((trainable, optimiser.init(trainable)))
    click.echo(f"mapping: {100 * float(unexplained[-100:].mean()):.2f} % of the unsquashed variables' variance "
               f"unexplained; w moved by {100 * float(moved[-100:].mean()):.2f} %")  # fmt: skip
    fitted = nnx.merge(graph, params)
    if not near:  # the last layer's activation is homogeneous
        z = jax.random.normal(jax.random.key(2), (5_000, LATENT_DIM))
        scale = jnp.sqrt(jnp.mean(jnp.square(fitted.trunk(z, None))))
        last = getattr(fitted, f"fc{fitted.layers - 1}")
        last.weight[...] = last.weight[...] / scale
        last.bias[...] = last.bias[...] / scale
    return fitted
