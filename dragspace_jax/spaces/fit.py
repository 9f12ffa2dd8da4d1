"""PCA of W in a stream: any number of samples in bounded memory, on any number of devices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Float32, Float64, Int, Int32

from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.placement import devices
from dragspace_jax.spaces.axes import check_count, principal_axes, sample_limits
from dragspace_jax.spaces.base import SpaceError
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.spaces.wplus import WPlus, default_layers
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.mapping import Mapping

DEFAULT_SAMPLES = 100_000
BATCH = 4096
"""Samples drawn at once, whatever the devices: it is part of what a seed means."""
_AXIS = "samples"
_AHEAD = 8  # batches that may be under way before the host waits

Moments = tuple[Float64[Array, " D"], Float64[Array, "D D"]]


def draw(
    mapping: Mapping, seed: int | Int[Array, ""], index: int | Int[Array, ""], label: Float[Array, " c_dim"] | None
) -> Float32[Array, "B D"]:
    """Batch `index` of the samples that a seed names: B = `BATCH` of w."""
    key = jax.random.fold_in(jax.random.key(seed), index)
    z = jax.random.normal(key, (BATCH, mapping.z_dim), jnp.float32)
    c = None if label is None else jnp.broadcast_to(label[None], (BATCH, label.shape[0]))
    with jax.default_matmul_precision("highest"):
        return mapping.trunk(z, c)


@partial(jax.jit, static_argnames="sharding", donate_argnames="moments")
def _add(
    moments: Moments,
    mapping: Mapping,
    label: Float[Array, " c_dim"] | None,
    place: Int32[Array, " 3"],
    sharding: NamedSharding,
) -> Moments:
    """Add a batch to the sums of w and of its outer products. `place`: seed, batch, samples that count."""
    w = jax.lax.with_sharding_constraint(draw(mapping, place[0], place[1], label), sharding)
    counted = (jnp.arange(BATCH, dtype=jnp.int32) < place[2])[:, None]
    exact = jnp.where(counted, w, jnp.zeros((), w.dtype)).astype(jnp.float64)
    return moments[0] + exact.sum(0), moments[1] + exact.T @ exact


def fit_pca(
    model: Generator,
    *,
    samples: int = DEFAULT_SAMPLES,
    components: int | None = None,
    seed: int = 0,
    label: Float[Array, " c_dim"] | None = None,
    layers: int | None = None,
    shared: bool = False,
    device: Any = None,
    on_progress: Callable[[int], None] | None = None,
) -> PCA:
    """PCA of W over mapped Gaussian latents (GANSpace, arXiv 2004.02546, section 3.1).

    Samples are drawn and mapped in float32, batch by batch, divided among the devices; their moments are summed in
    float64, so the basis depends neither on how many there are nor on how they are divided. Each component's largest
    entry is positive, so it repeats.

    Args:
      model: the generator.
      samples: number of latents; memory does not depend on it.
      components: number K; None: all that the samples span, min(D, samples − 1) at most.
      seed: of the latents.
      label: for conditional models.
      layers, shared: the space's settings; layers None: the published 6, or all of a model that has fewer.
      device: where to run, `gpu`, `gpu:0,1`, … (`placement.devices`); None: all devices that JAX prefers.
      on_progress: called with the number of samples done.

    Raises:
      SpaceError: fewer than two samples, more components than samples or dimensions, a degenerate covariance, a label
        or layers that do not fit the model, or a seed out of range.
      DeviceError: no such device.
    """
    width = model.config.w_dim
    count = check_count(components, sample_limits(samples, width))
    if not 0 <= seed < 2**31:
        raise SpaceError(f"seed is {seed}; it must be from 0 to {2**31 - 1}")
    moving = default_layers(model.config.num_ws) if layers is None else layers
    WPlus(layers=moving).check(model)
    given = 0 if label is None else label.shape[0]
    if given != model.config.c_dim:
        raise SpaceError(f"the label has {given} classes; the model has {model.config.c_dim}")
    total, outer = _moments(model.mapping, samples, seed, label, device, on_progress)
    mean = total / samples
    covariance = (outer - samples * np.outer(mean, mean)) / (samples - 1)
    mean_square = float(outer.diagonal().max()) / samples
    variance, axes = principal_axes(covariance, count, mean_square=mean_square, exactly=components is not None)
    return PCA(
        mean=jnp.asarray(mean, jnp.float32),
        components=jnp.asarray(axes, jnp.float32),
        variance=jnp.asarray(variance, jnp.float32),
        scale=jnp.ones(len(axes), jnp.float32),
        layers=moving,
        shared=shared,
        model=fingerprint(model),
    )


def _moments(
    mapping: Mapping,
    samples: int,
    seed: int,
    label: Float[Array, " c_dim"] | None,
    device: Any,
    on_progress: Callable[[int], None] | None,
) -> tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, "D D"]]:
    """Sums of w and of its outer products."""
    chosen = list(devices(device).devices)
    used = chosen[: max(n for n in range(1, len(chosen) + 1) if BATCH % n == 0)]
    mesh = Mesh(np.array(used), (_AXIS,))
    everywhere, divided = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(_AXIS))
    width = mapping.w_avg[...].shape[0]
    with jax.enable_x64(True):
        moments = jax.device_put((np.zeros(width), np.zeros((width, width))), everywhere)
        mapping, label = jax.device_put((mapping, label), everywhere)
        for index, start in enumerate(range(0, samples, BATCH)):
            place = jax.device_put(np.array([seed, index, min(BATCH, samples - start)], np.int32), everywhere)
            moments = _add(moments, mapping, label, place, divided)
            if index % _AHEAD == _AHEAD - 1:
                jax.block_until_ready(moments)
            if on_progress is not None:
                on_progress(min(start + BATCH, samples))
        return np.asarray(moments[0]), np.asarray(moments[1])
