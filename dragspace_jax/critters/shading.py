"""Colours, light and the canvas they are painted on.

A colour is an array [3, B, 1, 1] or [3, B, H, W] in 0..1 (sRGB values, blended as they are, as a painter's palette
would be). Light comes from the upper left and from the viewer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dragspace_jax.critters.shapes import Point, length, smoothstep

_LIGHT = (-0.46, -0.58, 0.67)
_FURS = ((0.60, 0.62, 0.68), (0.64, 0.45, 0.34), (0.93, 0.61, 0.31), (0.96, 0.85, 0.68))
_IRISES = ((0.45, 0.26, 0.12), (0.86, 0.60, 0.15), (0.42, 0.66, 0.26), (0.27, 0.60, 0.84))


class Canvas(NamedTuple):
    """A picture in progress: colour [3, B, H, W] and the number of the visible part [1, B, H, W]."""

    colour: jax.Array
    segments: jax.Array


def over(canvas: Canvas, colour: jax.Array, alpha: jax.Array, segment: int | None = None) -> Canvas:
    """Paints a colour with coverage alpha [1, B, H, W]; with a segment, pixels more than half covered belong to it."""
    segments = canvas.segments
    if segment is not None:
        segments = jnp.where(alpha > 0.5, segment, segments)
    return Canvas(canvas.colour + alpha * (colour - canvas.colour), segments)


def constant(*rgb: float) -> jax.Array:
    """A colour [3, 1, 1, 1]."""
    return jnp.array(rgb, jnp.float32).reshape(3, 1, 1, 1)


def mix(a: jax.Array, b: jax.Array, share) -> jax.Array:
    """`share` of b and the rest of a."""
    return a + share * (b - a)


def _ramp(colours: tuple[tuple[float, float, float], ...], position: jax.Array) -> jax.Array:
    """Smooth way through evenly spaced colours, position 0 to 1."""
    last = len(colours) - 1
    weights = [jnp.exp(-(((position * last - index) / 0.55) ** 2)) for index in range(last + 1)]
    mixed = sum(
        (weight * constant(*colour) for weight, colour in zip(weights, colours, strict=True)), constant(0, 0, 0)
    )
    return mixed / sum(weights, jnp.float32(0))


def fur_colour(a: dict[str, jax.Array]) -> jax.Array:
    """The coat [3, B, 1, 1]."""
    coat, lightness = _ramp(_FURS, a["fur_hue"]), a["fur_lightness"]
    return coat * (0.94 + 0.20 * lightness) + 0.05 * (1.0 + lightness) * (1.0 - coat)


def iris_colour(a: dict[str, jax.Array]) -> jax.Array:
    """The iris [3, B, 1, 1]."""
    return _ramp(_IRISES, a["eye_hue"])


def background_colour(a: dict[str, jax.Array]) -> jax.Array:
    """A pastel [3, B, 1, 1]; the range of hues stops short of closing the circle."""
    turn = 2.0 * jnp.pi * (0.80 * a["background_hue"] + 0.09)
    return jnp.concatenate([0.76 + 0.125 * jnp.cos(turn - phase) for phase in (0.0, 2.094, 4.189)])


def dome(at: Point, centre: Point, rx, ry) -> jax.Array:
    """Light that a rounded body with an elliptic outline receives, about -0.3 (turned away) to 1 (facing it)."""
    x, y = (at.x - centre.x) / rx, (at.y - centre.y) / ry
    square = x * x + y * y
    height = jnp.sqrt(jnp.maximum(1.0 - square, 0.0) + 0.06)
    return (_LIGHT[0] * x + _LIGHT[1] * y + _LIGHT[2] * height) / jnp.sqrt(square + height * height)


def lit(colour: jax.Array, light: jax.Array) -> jax.Array:
    """A matt colour under `light` as `dome` gives it; shadows turn a little cool, highlights a little warm."""
    light = jnp.maximum(light + 0.25, 0.0)
    tint = jnp.concatenate([0.56 + 0.43 * light, 0.565 + 0.415 * light, 0.60 + 0.375 * light])
    return colour * tint + 0.03 * light * light


def darkened(colour: jax.Array, amount: jax.Array) -> jax.Array:
    """A colour in shadow; amount 0 leaves it, 1 would be nearly black and a little violet."""
    return colour * (1.0 - amount * constant(0.88, 0.90, 0.82))


def rim(distance: jax.Array, depth: float) -> jax.Array:
    """1 at the edge of a shape, falling to 0 at `depth` inside it."""
    return smoothstep(-depth, 0.02, distance)


def glow(at: Point, centre: Point, radius) -> jax.Array:
    """A soft round spot, 1 at its centre."""
    distance = length(at.x - centre.x, at.y - centre.y) / radius
    return jnp.exp(-2.0 * distance * distance)
