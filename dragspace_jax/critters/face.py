"""Eyes, muzzle, nose and mouth, painted onto a head."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dragspace_jax.critters.anatomy import Anatomy, Part
from dragspace_jax.critters.shading import Canvas, constant, darkened, dome, glow, lit, mix, over, rim
from dragspace_jax.critters.shapes import Point, coverage, ellipse, intersection, length, smoothstep, tapered, union

_LINE = 0.030
_INK = (0.17, 0.11, 0.11)


class Eye(NamedTuple):
    """An eye's opening, [1, B, 1, 1] each: its centre, radii, how far open it is, and how far its middle hangs."""

    centre: Point
    rx: jax.Array
    ry: jax.Array
    opening: jax.Array
    bend: jax.Array

    def at_lid(self, share: float) -> Point:
        """The middle of the upper lid (-1), the opening (0) or the lower lid (1)."""
        return Point(self.centre.x, self.centre.y + 0.6 * self.bend + share * self.ry)


def place_eye(part: Part, radii: tuple[jax.Array, jax.Array], opening: jax.Array) -> Eye:
    """The opening sinks a little as the upper lid, which does most of the way, comes down."""
    rx, ry = radii
    # Quick at first: half-way lids look relaxed rather than cross.
    opening = opening * (1.7 - 0.7 * opening)
    sunk = Point(part.centre.x, part.centre.y + 0.42 * ry * (1.0 - opening))
    return Eye(sunk, rx * part.facing, ry * opening, opening, 0.42 * ry * (1.0 - opening))


def paint_eye(canvas: Canvas, at: Point, kind: str, part: Part, radii, eye: Eye, a, colours, pixel, segment: int):
    """Lid, dark line of the lashes, eyeball with iris, pupil and catch-lights."""
    fur, iris = colours
    rx, ry = radii[0] * part.facing, radii[1]
    lid = ellipse(at, part.centre, rx * 1.22, ry * 1.2)
    light = dome(at, part.centre, rx * 1.6, ry * 1.6)
    canvas = over(canvas, lit(fur * 0.93, 0.9 * light), 0.75 * coverage(lid, 0.10))
    # A closed eye is an arc that bends down in the middle, an open one an ellipse.
    across = (at.x - eye.centre.x) / rx
    bent = Point(at.x, at.y - eye.bend * (0.6 - across * across))
    rim_line = ellipse(bent, Point(eye.centre.x, eye.centre.y - 0.018), eye.rx + 0.028, eye.ry + 0.046)
    canvas = over(canvas, mix(constant(*_INK), fur, 0.12), coverage(rim_line, pixel), segment)
    ball = ellipse(bent, eye.centre, eye.rx, eye.ry + 0.004)
    inside = coverage(ball, pixel) * smoothstep(0.02, 0.16, eye.opening)
    gaze = Point(part.centre.x + 0.22 * rx * a["gaze_x"], part.centre.y + 0.16 * ry * a["gaze_y"] + 0.08 * ry)
    white = mix(constant(0.97, 0.95, 0.92), constant(0.70, 0.70, 0.76), smoothstep(0.2, -1.0, (at.y - gaze.y) / ry))
    size = 0.87 if kind == "dog" else 0.93
    round_iris = ellipse(at, gaze, rx * size, ry * size)
    below = smoothstep(-0.6, 0.9, (at.y - gaze.y) / ry)
    ring = darkened(mix(iris * 0.62, mix(iris, constant(1.0, 0.97, 0.80), 0.30), below), 0.45 * rim(round_iris, 0.05))
    colour = mix(white, ring, coverage(round_iris, pixel))
    pupil_rx = rx * (0.55 if kind == "dog" else 0.38)
    pupil = ellipse(at, gaze, pupil_rx, ry * (0.55 if kind == "dog" else 0.68))
    colour = mix(colour, constant(0.07, 0.05, 0.07), coverage(pupil, 1.3 * pixel))
    colour = darkened(colour, 0.45 * smoothstep(-0.10, 0.0, ball) * smoothstep(0.3, -0.8, (at.y - eye.centre.y) / ry))
    spark = ellipse(at, Point(gaze.x - 0.27 * rx, gaze.y - 0.31 * ry), 0.27 * rx, 0.25 * ry)
    colour = mix(colour, constant(1.0, 1.0, 1.0), 0.97 * coverage(spark, 1.2 * pixel))
    second = glow(at, Point(gaze.x + 0.30 * rx, gaze.y + 0.36 * ry), 0.30 * rx)
    colour = mix(colour, constant(1.0, 1.0, 1.0), 0.45 * second)
    return over(canvas, colour, inside)


class Mouth(NamedTuple):
    """Distances [1, B, H, W] of the mouth's line and cavity, and how far down the cavity a pixel is (0 to 1)."""

    line: jax.Array
    cavity: jax.Array
    depth: jax.Array


def _mouth(at: Point, body: Anatomy) -> Mouth:
    lip, (left, right) = body.lip, body.corners
    offset = at.x - lip.x
    is_right = offset > 0
    reach = jnp.maximum(jnp.where(is_right, right.x - lip.x, lip.x - left.x), 0.10)
    end = jnp.where(is_right, right.y, left.y) - lip.y
    share = jnp.abs(offset) / reach
    t = jnp.clip(share, 0.0, 1.0)
    sag = 0.085
    upper = lip.y + end * t * t + 4.0 * sag * t * (1.0 - t)
    slope = (2.0 * end * t + 4.0 * sag * (1.0 - 2.0 * t)) / reach
    drop = body.gape * (1.0 - t * t) * (1.0 + 0.45 * t * t)
    lower_slope = slope - body.gape * (1.1 * t + 1.8 * t**3) / reach
    past = jnp.maximum(share - 1.0, 0.0) * reach
    line = length(past, (at.y - upper) / jnp.sqrt(1.0 + slope * slope)) - _LINE
    lower = (at.y - upper - drop) / jnp.sqrt(1.0 + lower_slope * lower_slope)
    cavity = intersection(intersection(upper - at.y, lower, 0.04), past - 0.01, 0.02)
    return Mouth(line, cavity, (at.y - upper) / (body.gape + 0.05))


def paint_muzzle(canvas: Canvas, at: Point, body: Anatomy, pale: jax.Array, pixel, segments: tuple[int, int]):
    """Chin, the two pale lobes, the mouth with its tongue; `segments` are (muzzle, mouth)."""
    (left, right), (rx, ry) = body.muzzle, body.muzzle_radii
    lobes = union(
        ellipse(at, left.centre, rx * left.facing, ry), ellipse(at, right.centre, rx * right.facing, ry), 0.14
    )
    chin = ellipse(at, Point(body.jaw.x, body.jaw.y), body.jaw_radii[0] * 0.82, body.jaw_radii[1] * 0.80)
    middle = Point(0.5 * (left.centre.x + right.centre.x), left.centre.y)
    shade = darkened(
        lit(pale, 0.78 * dome(at, Point(body.jaw.x, body.jaw.y + 0.05), 0.5, 0.45)), 0.22 * rim(chin, 0.10)
    )
    canvas = over(canvas, shade, coverage(chin, 0.05), segments[0])
    under = union(lobes, chin, 0.1)
    shadow = 0.5 * coverage(lobes - 0.05, 0.12) * coverage(under, 0.1)
    canvas = over(canvas, darkened(canvas.colour, jnp.float32(0.30)), shadow)
    colour = lit(pale, dome(at, Point(middle.x, middle.y + 0.04), rx * 2.0, ry * 1.35))
    colour = darkened(colour, 0.10 * rim(lobes, 0.10))
    canvas = over(canvas, colour, coverage(lobes, 0.07), segments[0])

    mouth = _mouth(at, body)
    open_share = smoothstep(0.02, 0.10, body.gape)
    inside = mix(constant(0.36, 0.10, 0.13), constant(0.55, 0.17, 0.20), smoothstep(0.0, 1.0, mouth.depth))
    root = Point(0.8 * body.lip.x + 0.2 * body.jaw.x, body.lip.y + 0.92 * body.gape + 0.03)
    tongue = ellipse(at, root, 0.19, 0.03 + 0.48 * body.gape)
    pink = lit(constant(0.97, 0.52, 0.54), 0.55 + 0.45 * smoothstep(0.2, 0.9, mouth.depth))
    inside = mix(inside, pink, coverage(tongue, 1.5 * pixel))
    canvas = over(canvas, inside, coverage(mouth.cavity, pixel) * open_share, segments[1])
    ink = mix(constant(*_INK), pale, 0.12)
    return over(canvas, ink, 0.92 * coverage(mouth.line, 1.2 * pixel), segments[1])


def paint_nose(canvas: Canvas, at: Point, kind: str, body: Anatomy, skin: jax.Array, pixel, segment: int) -> Canvas:
    """The groove to the lip, a rounded wide triangle, nostrils where there is room for them, and a wet highlight."""
    (x, y), facing, (rx, ry) = body.nose.centre, body.nose.facing, body.nose_radii
    rx = rx * facing
    groove = tapered(at, Point(x, y), body.lip, 0.026, 0.028)
    canvas = over(canvas, constant(*_INK), 0.85 * coverage(groove, 1.3 * pixel))
    # Narrower towards the bottom: the width at a height is that of the ellipse of a bent coordinate.
    taper = 1.0 + 0.42 * jnp.clip((at.y - y) / ry, -0.8, 1.2)
    shape = ellipse(Point(x + (at.x - x) * taper, at.y), Point(x, y), rx, ry)
    canvas = over(canvas, darkened(canvas.colour, jnp.float32(0.35)), 0.5 * coverage(shape - 0.04, 0.12))
    colour = lit(skin, dome(at, Point(x, y), rx * 1.15, ry * 1.2))
    if kind == "dog":
        for side in (-1.0, 1.0):
            nostril = ellipse(at, Point(x + side * 0.45 * rx, y + 0.18 * ry), 0.20 * rx, 0.24 * ry)
            colour = mix(colour, constant(0.05, 0.03, 0.04), 0.8 * coverage(nostril, 0.05))
    spark = ellipse(at, Point(x - 0.22 * rx, y - 0.48 * ry), 0.36 * rx, 0.22 * ry)
    colour = mix(colour, constant(1.0, 0.98, 0.97), 0.62 * coverage(spark, 0.06))
    return over(canvas, colour, coverage(shape, pixel), segment)
