"""Where the parts of a head lie: positions in three dimensions, turned and projected into the head's plane.

One head unit is about half the height of a head without its ears. The axes are x to the right, y down and z towards
the viewer; the head turns about its centre by yaw and pitch and is projected in parallel, so the nose, which stands
out most, moves most, and the ears, which sit behind the centre, move the other way.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from dragspace_jax.critters.shapes import Point, length

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Build:
    """Proportions of a kind, in head units; places are those of the right side at rest."""

    skull: Place
    skull_radii: tuple[float, float]
    cheek: Place
    cheek_radii: tuple[float, float]
    jaw: Place
    jaw_radii: tuple[float, float]
    muzzle: Place
    muzzle_radii: tuple[float, float]
    nose: Place
    nose_radii: tuple[float, float]
    lip: Place
    corner: Place
    gape: float
    eye: Place
    eye_radii: tuple[float, float]
    ear: Place


BUILDS = {
    "dog": Build(
        skull=(0.0, -0.20, 0.0), skull_radii=(0.78, 0.74),
        cheek=(0.33, 0.22, 0.20), cheek_radii=(0.47, 0.46),
        jaw=(0.0, 0.52, 0.55), jaw_radii=(0.36, 0.32),
        muzzle=(0.19, 0.30, 0.80), muzzle_radii=(0.31, 0.30),
        nose=(0.0, 0.10, 1.12), nose_radii=(0.215, 0.155),
        lip=(0.0, 0.40, 1.02), corner=(0.37, 0.42, 0.66), gape=0.40,
        eye=(0.37, -0.17, 0.74), eye_radii=(0.222, 0.24),
        ear=(0.56, -0.66, -0.15),
    ),
    "cat": Build(
        skull=(0.0, -0.14, 0.0), skull_radii=(0.90, 0.72),
        cheek=(0.48, 0.22, 0.12), cheek_radii=(0.48, 0.40),
        jaw=(0.0, 0.46, 0.50), jaw_radii=(0.33, 0.28),
        muzzle=(0.16, 0.33, 0.78), muzzle_radii=(0.25, 0.21),
        nose=(0.0, 0.14, 0.92), nose_radii=(0.125, 0.09),
        lip=(0.0, 0.34, 0.90), corner=(0.27, 0.37, 0.68), gape=0.27,
        eye=(0.42, -0.12, 0.72), eye_radii=(0.25, 0.25),
        ear=(0.55, -0.52, -0.15),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A projected place, and how wide the surface there looks compared with facing the viewer."""

    centre: Point
    facing: jax.Array


@dataclass(frozen=True)
class Anatomy:
    """Projected parts of a batch of heads; every array is [1, B, 1, 1]. Pairs are (left, right)."""

    skull: Point
    skull_radii: tuple[jax.Array, jax.Array]
    cheeks: tuple[Point, Point]
    cheek_radii: tuple[jax.Array, jax.Array]
    jaw: Point
    jaw_radii: tuple[jax.Array, jax.Array]
    muzzle: tuple[Part, Part]
    muzzle_radii: tuple[jax.Array, jax.Array]
    nose: Part
    nose_radii: tuple[jax.Array, jax.Array]
    lip: Point
    corners: tuple[Point, Point]
    gape: jax.Array
    eyes: tuple[Part, Part]
    eye_radii: tuple[jax.Array, jax.Array]
    ears: tuple[Part, Part]


def project(a: dict[str, jax.Array], x, y, z) -> Part:
    """Turns a place by yaw, then pitch, and drops the depth."""
    cos_yaw, sin_yaw = jnp.cos(a["yaw"]), jnp.sin(a["yaw"])
    cos_pitch, sin_pitch = jnp.cos(a["pitch"]), jnp.sin(a["pitch"])
    depth = -x * sin_yaw + z * cos_yaw
    centre = Point(x * cos_yaw + z * sin_yaw, y * cos_pitch + depth * sin_pitch)
    # The outward direction in the horizontal plane; its share towards the viewer narrows what lies on the surface.
    facing = (depth + 0.25) / length(jnp.asarray(x), jnp.asarray(z + 0.25))
    return Part(centre, jnp.clip(0.35 + 0.65 * facing, 0.3, 1.1))


def pair(a: dict[str, jax.Array], place: Place, width: jax.Array, drop: jax.Array | float = 0.0) -> tuple[Part, Part]:
    """The left and the right one of a part that a head has twice."""
    x, y, z = place
    return project(a, -x * width, y + drop, z), project(a, x * width, y + drop, z)


def place_parts(kind: str, a: dict[str, jax.Array]) -> Anatomy:
    """Parts of heads of one kind with attributes {name: [1, B, 1, 1]}."""
    build = BUILDS[kind]
    width, muzzle, gape = a["head_width"], a["muzzle_size"], a["mouth_opening"] * build.gape
    lift = 0.10 * a["smile"]
    jaw_x, jaw_y, jaw_z = build.jaw
    cheeks = pair(a, build.cheek, width)
    corners = pair(a, build.corner, muzzle * (1.0 + 0.08 * a["smile"]), -lift)
    return Anatomy(
        skull=project(a, *build.skull).centre,
        skull_radii=(build.skull_radii[0] * width, jnp.full_like(width, build.skull_radii[1])),
        cheeks=(cheeks[0].centre, cheeks[1].centre),
        cheek_radii=(build.cheek_radii[0] * width, jnp.full_like(width, build.cheek_radii[1])),
        jaw=project(a, jaw_x, jaw_y + 0.72 * gape, jaw_z).centre,
        jaw_radii=(build.jaw_radii[0] * (0.5 + 0.5 * muzzle), build.jaw_radii[1] + 0.22 * gape),
        muzzle=pair(a, build.muzzle, muzzle),
        muzzle_radii=(build.muzzle_radii[0] * muzzle, build.muzzle_radii[1] * muzzle),
        nose=project(a, *build.nose),
        nose_radii=(
            build.nose_radii[0] * (0.4 + 0.6 * muzzle),
            build.nose_radii[1] * (0.4 + 0.6 * muzzle),
        ),
        lip=project(a, *build.lip).centre,
        corners=(corners[0].centre, corners[1].centre),
        gape=gape,
        eyes=pair(a, build.eye, 0.5 + 0.5 * width),
        eye_radii=(build.eye_radii[0] * a["eye_size"], build.eye_radii[1] * a["eye_size"]),
        ears=pair(a, build.ear, width),
    )
