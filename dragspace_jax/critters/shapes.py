"""Signed distances of the few shapes an animal is made of, and how a distance becomes soft coverage.

All lengths are in head units. Coordinates and distances broadcast against each other, usually [1, B, H, W] for a
picture and [1, B, 1, 1] for a property of an animal. Negative is inside. Square roots carry a small constant so that
gradients stay finite at centres.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

_TINY = 1e-6


class Point(NamedTuple):
    """A place in the head's plane (x to the right, y down)."""

    x: jax.Array
    y: jax.Array


def length(x: jax.Array, y: jax.Array) -> jax.Array:
    """Euclidean norm, differentiable at 0."""
    return jnp.sqrt(x * x + y * y + _TINY)


def ellipse(at: Point, centre: Point, rx, ry) -> jax.Array:
    """Distance to an ellipse, first order at its edge."""
    x, y = (at.x - centre.x) / rx, (at.y - centre.y) / ry
    radius = length(x, y)
    return radius * (radius - 1.0) / length(x / rx, y / ry)


def tapered(at: Point, start: Point, end: Point, start_radius, end_radius) -> jax.Array:
    """Distance to a thick line whose radius goes from one value to another."""
    dx, dy = end.x - start.x, end.y - start.y
    along = ((at.x - start.x) * dx + (at.y - start.y) * dy) / (dx * dx + dy * dy + _TINY)
    along = jnp.clip(along, 0.0, 1.0)
    radius = start_radius + (end_radius - start_radius) * along
    return length(at.x - start.x - along * dx, at.y - start.y - along * dy) - radius


def union(a: jax.Array, b: jax.Array, blend: float) -> jax.Array:
    """Smooth minimum: the two shapes flow into each other over about `blend`."""
    overlap = jnp.maximum(blend - jnp.abs(a - b), 0.0) / blend
    return jnp.minimum(a, b) - 0.25 * blend * overlap * overlap


def intersection(a: jax.Array, b: jax.Array, blend: float) -> jax.Array:
    """Smooth maximum, rounding the corner where the two edges meet."""
    return -union(-a, -b, blend)


def smoothstep(low, high, value: jax.Array) -> jax.Array:
    """0 below `low`, 1 above `high`, cubic between."""
    t = jnp.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def coverage(distance: jax.Array, width) -> jax.Array:
    """Share of a pixel inside a shape, the edge spread over about `width` (a pixel, or more for soft edges)."""
    return 1.0 - smoothstep(-0.75 * width, 0.75 * width, distance)
