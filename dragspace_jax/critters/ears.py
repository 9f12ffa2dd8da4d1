"""Ears: flaps that hang or are pricked (dog), and pointed ones that stand up or are laid out (cat)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dragspace_jax.critters.anatomy import Part
from dragspace_jax.critters.shading import Canvas, constant, darkened, dome, lit, mix, over, rim
from dragspace_jax.critters.shapes import Point, coverage, smoothstep, tapered, union


class Ear(NamedTuple):
    """The centre line of an ear, [1, B, 1, 1] each."""

    base: Point
    middle: Point
    tip: Point
    facing: jax.Array


def place_ear(kind: str, part: Part, side: float, raised: jax.Array, ear_length: jax.Array) -> Ear:
    """The centre line for a side (-1 left, 1 right) and a raise of 0 to 1."""
    base, facing = part.centre, 0.55 + 0.45 * part.facing

    def beyond(start: Point, angle: jax.Array, reach: jax.Array) -> Point:
        # Angles are measured from straight outwards, positive upwards.
        return Point(start.x + side * facing * reach * jnp.cos(angle), start.y - reach * jnp.sin(angle))

    if kind == "dog":
        middle = beyond(base, 0.15 + 0.95 * raised, 0.36 * ear_length)
        tip = beyond(middle, -1.50 + 2.40 * raised * (0.45 + 0.55 * raised), (0.66 - 0.16 * raised) * ear_length)
        return Ear(base, middle, tip, facing)
    angle = 0.62 + 0.78 * raised
    return Ear(base, beyond(base, angle, 0.37 * ear_length), beyond(base, angle, 0.74 * ear_length), facing)


def _flap(at: Point, ear: Ear, grow: float) -> jax.Array:
    upper = tapered(at, ear.base, ear.middle, 0.20 + grow, 0.25 + grow)
    return union(upper, tapered(at, ear.middle, ear.tip, 0.25 + grow, 0.15 + grow), 0.16)


def _cone(at: Point, ear: Ear, grow: float) -> jax.Array:
    return tapered(at, ear.base, ear.tip, 0.44 * (0.5 + 0.5 * ear.facing) + grow, 0.075 + 0.4 * grow)


def paint_dog_ear(canvas: Canvas, at: Point, ear: Ear, raised, fur: jax.Array, pixel, segment: int) -> Canvas:
    """A flap in front of the head, its shadow on the cheek, and the inside showing when it is pricked."""
    distance = _flap(at, ear, 0.0)
    shadow = _flap(Point(at.x - 0.05, at.y - 0.07), ear, 0.02)
    onto = (canvas.segments > 1).astype(jnp.float32)
    canvas = over(canvas, darkened(canvas.colour, jnp.float32(0.55)), 0.6 * onto * coverage(shadow, 0.20))
    centre = Point(0.5 * (ear.middle.x + ear.tip.x), 0.5 * (ear.middle.y + ear.tip.y))
    colour = lit(fur, 0.85 * dome(at, centre, 0.62, 0.85))
    colour = darkened(colour, 0.30 * rim(distance, 0.14))
    inside = coverage(_flap(at, ear, -0.105), 0.06) * smoothstep(0.45, 0.9, raised)
    colour = mix(colour, mix(constant(0.86, 0.60, 0.56), fur, 0.25) * 0.93, 0.85 * inside)
    return over(canvas, colour, coverage(distance, pixel), segment)


def paint_cat_ear(canvas: Canvas, at: Point, ear: Ear, fur: jax.Array, pixel, segment: int) -> Canvas:
    """A pointed ear, to be painted before the head that covers its base."""
    distance = _cone(at, ear, 0.0)
    colour = lit(fur, 0.9 * dome(at, ear.middle, 0.75, 0.85))
    colour = darkened(colour, 0.22 * rim(distance, 0.12))
    inner = _cone(at, ear, -0.12)
    depth = smoothstep(-0.9, 0.3, (at.y - ear.tip.y) / (ear.base.y - ear.tip.y + 1e-3) - 0.6)
    pink = darkened(mix(constant(0.93, 0.66, 0.62), fur, 0.15), 0.45 * depth)
    colour = mix(colour, pink, 0.9 * coverage(inner, 0.05))
    return over(canvas, colour, coverage(distance, pixel), segment)
