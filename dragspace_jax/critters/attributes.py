"""What can differ between two animals, and the map that hides it in a Gaussian vector.

A latent of the world is a standard Gaussian vector z. `entangle` turns it into attributes by a fixed, smooth,
non-linear map in which every attribute depends on every component of z, so that no latent is an attribute by
construction. Both kinds share the attributes and the map: one z is a dog and a cat with corresponding properties.

"Left" and "right", here and in every name of this package, are the sides of the *picture* as one looks at it.
"""

from dataclasses import dataclass
from functools import cache, partial
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np

KINDS = ("dog", "cat")
LATENT_DIM = 32
_HIDDEN = 48
_SEED = 20230519


@dataclass(frozen=True)
class Attribute:
    """One bounded continuous property; `centre` in (0, 1) is where its median lies between `low` and `high`."""

    name: str
    low: float
    high: float
    unit: str
    centre: float = 0.5


ATTRIBUTES = (
    Attribute("head_x", -0.11, 0.11, "half frames, positive to the right"),
    Attribute("head_y", -0.05, 0.09, "half frames, positive down"),
    Attribute("head_size", 0.56, 0.68, "half frames for one head unit"),
    Attribute("yaw", -0.50, 0.50, "radians, positive turns the nose to the right"),
    Attribute("pitch", -0.26, 0.26, "radians, positive turns the nose down"),
    Attribute("roll", -0.26, 0.26, "radians, positive is clockwise"),
    Attribute("head_width", 0.92, 1.10, "factor"),
    Attribute("ear_left_raise", 0.0, 1.0, "0 hanging or laid out, 1 upright"),
    Attribute("ear_right_raise", 0.0, 1.0, "0 hanging or laid out, 1 upright"),
    Attribute("ear_length", 0.85, 1.2, "factor"),
    Attribute("eye_size", 0.85, 1.2, "factor"),
    Attribute("eye_opening_left", 0.0, 1.0, "0 closed, 1 wide open", 0.80),
    Attribute("eye_opening_right", 0.0, 1.0, "0 closed, 1 wide open", 0.80),
    Attribute("gaze_x", -1.0, 1.0, "positive looks to the right"),
    Attribute("gaze_y", -1.0, 1.0, "positive looks down"),
    Attribute("eye_hue", 0.0, 1.0, "0 brown, through amber and green, 1 blue"),
    Attribute("muzzle_size", 0.86, 1.16, "factor"),
    Attribute("mouth_opening", 0.0, 1.0, "0 closed, 1 wide open", 0.36),
    Attribute("smile", -0.4, 1.0, "positive lifts the corners of the mouth"),
    Attribute("fur_hue", 0.0, 1.0, "0 grey, through brown and ginger, 1 cream"),
    Attribute("fur_lightness", -1.0, 1.0, "0 is the plain colour"),
    Attribute("patch", 0.0, 1.0, "strength of the dark markings"),
    Attribute("blaze", 0.0, 1.0, "strength of the white markings"),
    Attribute("background_hue", 0.0, 1.0, "0 apricot, through green, blue and violet, 1 rose"),
)
NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
COLOURS = ("eye_hue", "fur_hue", "fur_lightness", "patch", "blaze", "background_hue")
"""The attributes that move nothing."""
# Left and right sides of a face mostly do the same thing; a wink is the exception.
_PAIRS = (("ear_left_raise", "ear_right_raise", 0.5), ("eye_opening_left", "eye_opening_right", 0.45))
SPREAD = 0.82
"""Of the Gaussian that the normal distribution function squashes: below 1 keeps the ends of a range rare."""


def named(attributes: jax.Array) -> dict[str, jax.Array]:
    """Splits attributes [B, A] into {name: [B]}."""
    return {name: attributes[..., index] for index, name in enumerate(NAMES)}


def _mixing(count: int) -> np.ndarray:
    """[A, A] rows of unit norm that correlate the paired attributes and leave the others alone."""
    mixing = np.eye(count)
    for first, second, correlation in _PAIRS:
        i, j = NAMES.index(first), NAMES.index(second)
        angle = 0.5 * np.arcsin(correlation)
        mixing[i, [i, j]] = mixing[j, [j, i]] = np.cos(angle), np.sin(angle)
    return mixing


@cache
def _weights() -> dict[str, np.ndarray]:
    """The fixed weights of the map, scaled so that every squashed variable has mean 0 and variance 1."""
    rng = np.random.default_rng(_SEED)
    count = len(ATTRIBUTES)
    rotation, _ = np.linalg.qr(rng.standard_normal((LATENT_DIM, LATENT_DIM)))
    inner = rng.standard_normal((LATENT_DIM, _HIDDEN)) * 1.3 / np.sqrt(LATENT_DIM)
    bias = 0.5 * rng.standard_normal(_HIDDEN)
    outer = rng.standard_normal((_HIDDEN, count)) / np.sqrt(_HIDDEN)
    z = rng.standard_normal((8192, LATENT_DIM))
    mixed = z @ rotation[:, :count] + np.tanh(z @ inner + bias) @ outer
    mean, scale = mixed.mean(0), mixed.std(0)
    mixing = _mixing(count)
    weights = {
        "linear": rotation[:, :count] / scale @ mixing.T,
        "inner": inner,
        "bias": bias,
        "outer": outer / scale @ mixing.T,
        "offset": -mean / scale @ mixing.T,
        "quantile": np.array([NormalDist().inv_cdf(attribute.centre) for attribute in ATTRIBUTES]),
        "low": np.array([attribute.low for attribute in ATTRIBUTES]),
        "high": np.array([attribute.high for attribute in ATTRIBUTES]),
    }
    return {name: value.astype(np.float32) for name, value in weights.items()}


def unsquashed(z: jax.Array) -> jax.Array:
    """The variables [B, A], mean 0 and variance 1, whose squashed values are the attributes of z [B, 32]."""
    if z.ndim != 2 or z.shape[-1] != LATENT_DIM:
        raise ValueError(f"z has shape {z.shape}; entangle needs [B, {LATENT_DIM}]")
    weights = _weights()
    dot = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    hidden = jnp.tanh(dot(z, weights["inner"]) + weights["bias"][None])
    return dot(z, weights["linear"]) + dot(hidden, weights["outer"]) + weights["offset"][None]


def entangle(z: jax.Array) -> jax.Array:
    """Attributes [B, A], each within its range, of Gaussian vectors z [B, 32]."""
    weights = _weights()
    share = jax.scipy.special.ndtr(SPREAD * unsquashed(z) + weights["quantile"][None])
    low, high = jnp.asarray(weights["low"][None]), jnp.asarray(weights["high"][None])
    return low + (high - low) * share
