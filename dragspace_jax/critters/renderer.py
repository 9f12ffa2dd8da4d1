"""Pictures of animals from their attributes, with landmarks and a segmentation of every picture.

Everything is a smooth function of the attributes, computed for a whole batch at once. Edges are anti-aliased by the
signed distance of their shape, so a picture is the same at every resolution but for its detail. Parts are painted
back to front; "left" and "right" are the sides of the picture (see `attributes`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dragspace_jax.critters.anatomy import Anatomy, place_parts
from dragspace_jax.critters.attributes import ATTRIBUTES, KINDS, named
from dragspace_jax.critters.ears import Ear, paint_cat_ear, paint_dog_ear, place_ear
from dragspace_jax.critters.face import Eye, paint_eye, paint_muzzle, paint_nose, place_eye
from dragspace_jax.critters.shading import (
    Canvas,
    background_colour,
    constant,
    darkened,
    dome,
    fur_colour,
    glow,
    iris_colour,
    lit,
    mix,
    over,
    rim,
)
from dragspace_jax.critters.shapes import Point, coverage, ellipse, tapered, union

SEGMENTS = ("background", "body", "head", "ear_left", "ear_right", "eye_left", "eye_right", "muzzle", "mouth", "nose")
LANDMARKS = (
    "head_top", "cheek_left", "cheek_right", "chin",
    "ear_left_middle", "ear_right_middle", "ear_left_tip", "ear_right_tip",
    "eye_left", "eye_right",
    "eyelid_left_top", "eyelid_right_top", "eyelid_left_bottom", "eyelid_right_bottom",
    "nose", "mouth_left", "mouth_right", "lip_top", "lip_bottom",
)  # fmt: skip


class Picture(NamedTuple):
    """image [B, H, W, 3] in [-1, 1]; landmarks_yx [B, P, 2] in pixels, a pixel's centre being at whole numbers, in
    the order of LANDMARKS; segmentation [B, H, W] int32, indices into SEGMENTS."""

    image: jax.Array
    landmarks_yx: jax.Array
    segmentation: jax.Array


class _Frame(NamedTuple):
    """The frame seen from the head: origin, size and turn of the head, [1, B, 1, 1] each; half frames per head unit."""

    x: jax.Array
    y: jax.Array
    size: jax.Array
    roll: jax.Array

    def inward(self, u: jax.Array, v: jax.Array) -> Point:
        """From the frame (-1 to 1) into the head's plane."""
        cos, sin = jnp.cos(self.roll) / self.size, jnp.sin(self.roll) / self.size
        u, v = u - self.x, v - self.y
        return Point(cos * u + sin * v, cos * v - sin * u)

    def outward(self, point: Point) -> Point:
        """From the head's plane into the frame."""
        cos, sin = jnp.cos(self.roll) * self.size, jnp.sin(self.roll) * self.size
        return Point(self.x + cos * point.x - sin * point.y, self.y + sin * point.x + cos * point.y)


def _paint_scene(u: jax.Array, v: jax.Array, a: dict[str, jax.Array], frame: _Frame, fur: jax.Array, pixel) -> Canvas:
    """A graded, softly lit background, and shoulders with a pale chest under the head's shadow."""
    tone = background_colour(a)
    light = glow(Point(u, v), Point(jnp.float32(-0.45), jnp.float32(-0.55)), 1.5)
    tone = mix(tone * 0.80, tone * 1.06 + 0.06, 0.25 + 0.75 * light) * (1.0 - 0.06 * (v + u))
    behind = glow(Point(u, v), Point(frame.x + 0.08, frame.y + 0.12), 1.25)
    canvas = Canvas(darkened(tone, 0.22 * behind), jnp.zeros(u.shape, jnp.int32))

    at = Point(u, v)
    neck = Point(0.55 * frame.x, 1.18 + 0.5 * frame.y)
    shoulders = union(
        ellipse(at, neck, 1.22 * frame.size, 0.72 * frame.size),
        tapered(at, Point(frame.x, frame.y), neck, 0.46 * frame.size, 0.60 * frame.size),
        0.25,
    )
    colour = lit(fur * 0.95, 0.8 * dome(at, Point(neck.x, neck.y + 0.1), 1.0, 0.95))
    chest = ellipse(at, Point(neck.x, neck.y - 0.05), 0.40 * frame.size, 0.62 * frame.size)
    pale = lit(mix(fur, constant(0.98, 0.95, 0.90), 0.45 + 0.45 * a["blaze"]), 0.75 * dome(at, neck, 0.7, 0.8))
    colour = mix(colour, pale, coverage(chest, 0.16))
    shadow = glow(at, Point(frame.x + 0.03, frame.y + 0.72 * frame.size), 0.75 * frame.size)
    colour = darkened(colour, 0.18 * rim(shoulders, 0.14) + 0.42 * shadow)
    return over(canvas, colour, coverage(shoulders, pixel * frame.size), 1)


def _paint_head(canvas: Canvas, at: Point, kind: str, body: Anatomy, a, fur: jax.Array, pixel) -> Canvas:
    """The head's silhouette with its light and its markings."""
    distance = ellipse(at, body.skull, *body.skull_radii)
    cheeks = [ellipse(at, cheek, *body.cheek_radii) for cheek in body.cheeks]
    distance = union(union(distance, cheeks[0], 0.22), cheeks[1], 0.22)
    for part in body.muzzle:
        lobe = ellipse(at, part.centre, body.muzzle_radii[0] * part.facing + 0.02, body.muzzle_radii[1] + 0.02)
        distance = union(distance, lobe, 0.10)
    distance = union(distance, ellipse(at, body.jaw, *body.jaw_radii), 0.14)

    coat = fur
    dark = mix(fur * 0.50, constant(0.26, 0.18, 0.15), 0.45)
    left, right = body.eyes
    brow = Point(0.5 * (left.centre.x + right.centre.x), left.centre.y)
    if kind == "dog":
        centre = Point(right.centre.x + 0.03, right.centre.y - 0.02)
        coat = mix(coat, dark, 0.9 * a["patch"] * coverage(ellipse(at, centre, 0.40 * right.facing, 0.46), 0.10))
    else:
        for offset, reach in ((-0.27, 0.0), (0.0, 0.06), (0.27, 0.0)):
            top = Point(brow.x * 0.75 + offset * 1.12, body.skull.y - 0.66)
            end = Point(brow.x + offset * 0.8, brow.y - 0.30 + reach)
            coat = mix(coat, dark, 0.85 * a["patch"] * coverage(tapered(at, top, end, 0.085, 0.045), 0.07))
    white = mix(fur, constant(0.99, 0.97, 0.93), 0.88)
    top = Point(brow.x * 0.8, body.skull.y - 0.60)
    stripe = tapered(at, top, Point(body.nose.centre.x, body.nose.centre.y), 0.07, 0.20)
    if kind == "dog":
        coat = mix(coat, white, a["blaze"] * coverage(stripe, 0.12))
    else:
        stripe = tapered(at, Point(brow.x, brow.y - 0.12), body.nose.centre, 0.03, 0.20)
        coat = mix(coat, white, a["blaze"] * coverage(stripe, 0.12))

    turn = Point(0.30 * body.nose.centre.x, 0.05 + 0.3 * body.nose.centre.y)
    light = dome(at, turn, 1.12 * a["head_width"], 1.08)
    colour = darkened(lit(coat, light), 0.26 * rim(distance, 0.20))
    blush = sum(glow(at, Point(cheek.x, cheek.y - 0.02), 0.34) for cheek in body.cheeks)
    colour = mix(colour, constant(0.96, 0.55, 0.45), 0.13 * blush)
    return over(canvas, colour, coverage(distance, pixel), 2)


def _landmarks(body: Anatomy, ears: tuple[Ear, Ear], eyes: tuple[Eye, Eye]) -> list[Point]:
    left, right = eyes
    cheeks = body.cheeks
    return [
        Point(body.skull.x, body.skull.y - 0.92 * body.skull_radii[1]),
        Point(cheeks[0].x - 0.34, cheeks[0].y), Point(cheeks[1].x + 0.34, cheeks[1].y),
        Point(body.jaw.x, body.jaw.y + 0.70 * body.jaw_radii[1]),
        ears[0].middle, ears[1].middle, ears[0].tip, ears[1].tip,
        left.at_lid(0.0), right.at_lid(0.0), left.at_lid(-1.0), right.at_lid(-1.0), left.at_lid(1.0), right.at_lid(1.0),
        body.nose.centre, *body.corners, body.lip, Point(body.lip.x, body.lip.y + body.gape),
    ]  # fmt: skip


def render(kind: str, attributes: jax.Array, resolution: int) -> Picture:
    """Draws animals of a kind ("dog" or "cat") with attributes [B, A] at resolution × resolution pixels.

    Pure and differentiable with respect to the attributes; jit it with kind and resolution static.
    Raises ValueError for an unknown kind or attributes of another width.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not drawn here; choose one of {', '.join(KINDS)}")
    if attributes.ndim != 2 or attributes.shape[-1] != len(ATTRIBUTES):
        raise ValueError(f"attributes have shape {attributes.shape}; render needs [B, {len(ATTRIBUTES)}]")
    a = named(attributes[None, :, None, None, :])
    frame = _Frame(a["head_x"], 0.08 + a["head_y"], a["head_size"], a["roll"])
    body = place_parts(kind, a)
    raised = (a["ear_left_raise"], a["ear_right_raise"])
    ears = (
        place_ear(kind, body.ears[0], -1.0, raised[0], a["ear_length"]),
        place_ear(kind, body.ears[1], 1.0, raised[1], a["ear_length"]),
    )
    eyes = (
        place_eye(body.eyes[0], body.eye_radii, a["eye_opening_left"]),
        place_eye(body.eyes[1], body.eye_radii, a["eye_opening_right"]),
    )

    fur = fur_colour(a)
    pale = mix(fur, constant(0.99, 0.96, 0.91), 0.58 + 0.36 * a["blaze"])
    skin = constant(0.24, 0.17, 0.17) if kind == "dog" else constant(0.88, 0.52, 0.52)
    pixel = 2.0 / resolution / frame.size
    row = (jnp.arange(resolution, dtype=jnp.float32) + 0.5) * (2.0 / resolution) - 1.0
    shape = (1, attributes.shape[0], resolution, resolution)
    u, v = jnp.broadcast_to(row[None, None, None], shape), jnp.broadcast_to(row[None, None, :, None], shape)
    at = frame.inward(u, v)

    canvas = _paint_scene(u, v, a, frame, fur, pixel)
    if kind == "cat":
        for index, ear in enumerate(ears):
            canvas = paint_cat_ear(canvas, at, ear, fur, pixel, 3 + index)
    canvas = _paint_head(canvas, at, kind, body, a, fur, pixel)
    canvas = paint_muzzle(canvas, at, body, pale, pixel, (7, 8))
    canvas = paint_nose(canvas, at, kind, body, skin, pixel, 9)
    for index, (part, eye) in enumerate(zip(body.eyes, eyes, strict=True)):
        lid_fur = mix(fur, fur * 0.6, a["patch"]) if kind == "dog" and index == 1 else fur
        canvas = paint_eye(canvas, at, kind, part, body.eye_radii, eye, a, (lid_fur, iris_colour(a)), pixel, 5 + index)
    if kind == "dog":
        ear_fur = mix(fur * 0.80, fur * 0.62, a["patch"])
        for index, (ear, up) in enumerate(zip(ears, raised, strict=True)):
            canvas = paint_dog_ear(canvas, at, ear, up, ear_fur, pixel, 3 + index)

    points = [frame.outward(point) for point in _landmarks(body, ears, eyes)]
    yx = jnp.stack([jnp.stack(jnp.broadcast_arrays(p.y, p.x), -1)[0, :, 0, 0] for p in points], 1)
    image = jnp.clip(jnp.moveaxis(canvas.colour, 0, -1), 0.0, 1.0) * 2.0 - 1.0
    return Picture(image, (yx + 1.0) * (0.5 * resolution) - 0.5, canvas.segments[0])
