"""What the embedded models are trained on: latents that visit rare states often, pictures drawn of them, the loss."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import torch

from dragspace_jax.critters import LATENT_DIM, entangle, render
from dragspace_jax.critters.attributes import COLOURS, NAMES
from dragspace_jax.critters.renderer import SEGMENTS
from dragspace_jax.stylegan2.mapping import normalise_second_moment

SIDE = 128  # px, of the finished pictures
RARE = (
    ("eye_opening_left", -1.0), ("eye_opening_right", -1.0), ("eye_opening_left", -1.0), ("eye_opening_right", -1.0),
    ("mouth_opening", 1.0), ("yaw", -1.0), ("yaw", 1.0), ("pitch", -1.0), ("pitch", 1.0), ("roll", -1.0), ("roll", 1.0),
    ("ear_left_raise", -1.0), ("ear_left_raise", 1.0), ("ear_right_raise", -1.0), ("ear_right_raise", 1.0),
)  # fmt: skip
"""Attributes at an end of their range that the latents' own law seldom reaches; eyes twice as often as the others."""
CANDIDATES = 8
NEAR = 4  # px around eyes, mouth and nose, which hold what a lid or a lip leaves behind
SQUARED = 2.0  # weight of the squared error beside the absolute one
WEIGHTS = {"eyes": 6.0, "mouth": 3.0, "edge": 2.0}


def attributes_of(geometry_z: jax.Array, colour_z: jax.Array) -> jax.Array:
    """Attributes [B, A] with the geometry of one latent and the colours of another, [B, 32] each.

    The mapping network normalises z, so the world is asked about the normalised vectors as well.
    """
    geometry, colour = (entangle(normalise_second_moment(z)) for z in (geometry_z, colour_z))
    return jnp.where(jnp.asarray([name in COLOURS for name in NAMES])[None], colour, geometry)


def latents(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Latents of geometry and of colours, [B, 32] each: half of them equal; a quarter rare in an attribute.

    A rare one is the most extreme of some candidates, each drawn from the latents' own law.
    """
    drawn, other, mixed, wanted = jax.random.split(key, 4)
    geometry_z = jax.random.normal(drawn, (count, LATENT_DIM))
    rare = count // 4
    candidates = jax.random.normal(jax.random.fold_in(drawn, 1), (CANDIDATES, rare, LATENT_DIM))
    attributes = entangle(normalise_second_moment(candidates.reshape(-1, LATENT_DIM))).reshape(CANDIDATES, rare, -1)
    choice = jax.random.randint(wanted, (rare,), 0, len(RARE))
    column = jnp.asarray([NAMES.index(name) for name, _ in RARE])[choice]
    sign = jnp.asarray([sign for _, sign in RARE])[choice]
    best = jnp.argmax(sign[None] * attributes[:, jnp.arange(rare), column], 0)
    geometry_z = geometry_z.at[:rare].set(candidates[best, jnp.arange(rare)])
    mix = jax.random.bernoulli(mixed, 0.5, (count, 1))
    return geometry_z, jnp.where(mix, jax.random.normal(other, (count, LATENT_DIM)), geometry_z)


def _around(mask: jax.Array, reach: int) -> jax.Array:
    """What is within `reach` pixels of a mask [H, W], as float32 [H, W]."""
    values = mask.astype(jnp.float32)
    for axis in (0, 1):  # as shifted maxima: a CPU's reduce_window is many times slower
        length = values.shape[axis]
        padded = jnp.pad(values, [(reach, reach) if i == axis else (0, 0) for i in (0, 1)])
        shifted = [jax.lax.slice_in_dim(padded, i, i + length, axis=axis) for i in range(2 * reach + 1)]
        values = functools.reduce(jnp.maximum, shifted)
    return values


def pixel_weights(segmentation: jax.Array) -> jax.Array:
    """Weights [H, W, 1] of a segmentation [H, W]: more near eyes, mouth and nose, and where two segments meet."""
    reach = NEAR * segmentation.shape[0] // SIDE

    def near(*names: str) -> jax.Array:
        return _around(jnp.isin(segmentation, jnp.asarray([SEGMENTS.index(name) for name in names])), reach)

    padded = jnp.pad(segmentation, ((0, 1), (0, 1)), mode="edge")
    edge = (padded[1:, :-1] != segmentation) | (padded[:-1, 1:] != segmentation)
    eyes, mouth = near("eye_left", "eye_right"), near("mouth", "nose")
    weight = 1.0 + WEIGHTS["eyes"] * eyes + WEIGHTS["mouth"] * mouth + WEIGHTS["edge"] * _around(edge, 1)
    return weight[..., None]


def drawing(kind: str, attributes: jax.Array, resolution: int) -> tuple[jax.Array, jax.Array]:
    """The picture [H, W, 3] of attributes [A] that a model is held to, and its weights [H, W, 1]."""
    picture = render(kind, attributes[None], resolution)
    return picture.image[0], pixel_weights(picture.segmentation[0])


def picture_loss(images: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted absolute and squared error of images [B, 3, H, W] to drawings [B, H, W, 3], weights [B, H, W, 1].

    The absolute error of finite differences is added, for sharp edges.
    """
    error = images.permute(0, 2, 3, 1) - wanted
    total = (weight * (error.abs() + SQUARED * error.square())).mean()
    for axis in (1, 2):
        inner = weight.narrow(axis, 1, weight.shape[axis] - 1)
        total = total + 0.5 * (inner * error.diff(dim=axis).abs()).mean()
    return total
