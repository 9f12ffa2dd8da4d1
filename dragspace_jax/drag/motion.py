"""Motion supervision (DragGAN, arXiv 2305.10973, section 3.2; docs/design.md, fact 7)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32

from dragspace_jax.networks import PatchReader
from dragspace_jax.networks.grid import hat, span


def distances(handles_yx: Float32[Array, "N 2"], targets_yx: Float32[Array, "N 2"]) -> Float32[Array, " N"]:
    """Distance of every handle [N, 2] to its target [N, 2] in pixels: [N]."""
    return jnp.sqrt(jnp.sum(jnp.square(targets_yx - handles_yx), -1))


def magnitude(x: Float32[Array, "*shape"]) -> Float32[Array, "*shape"]:
    """|x| with slope zero at zero, as in torch; the slope of `jnp.abs` there is one."""
    return x * jax.lax.stop_gradient(jnp.sign(x))


def motion_loss(
    reader: PatchReader,
    handles_yx: Float32[Array, "N 2"],
    targets_yx: Float32[Array, "N 2"],
    valid: Bool[Array, " N"],
    radius: int,
    tolerance: Float32[Array, " N"],
) -> Float32[Array, " N"]:
    """Pull the features around each handle one pixel towards its target.

    For a handle p farther than 1 px from its target: the mean over the pixels q whose stretched position lies within
    `radius` of p, and over channels, of |F(q + d) − stop_gradient(F(q))|, d the unit vector to the target. A handle
    that shall come nearer than 1 px is pulled until it has; d is then what is left of the way.

    Args:
      reader: the current features, zero outside the image.
      handles_yx: [N, 2] float32, whole pixels.
      targets_yx: [N, 2] float32, pixels.
      valid: bool [N]; other handles add nothing.
      radius: in pixels.
      tolerance: [N], distance at which a handle has arrived, pixels.

    Returns:
      Each handle's term: [N].
    """
    # Stretched positions run up to a pixel ahead: p + radius is never near, p - radius may be, p - radius - 1 is not.
    size = 2 * radius
    origins = jnp.round(handles_yx).astype(jnp.int32) - radius
    patches = reader.patches(origins - 1, size + 2)  # with the ring that q + d may touch

    gap = targets_yx - handles_yx
    far = distances(handles_yx, targets_yx)
    direction = gap / (jnp.maximum(far, 1.0)[:, None] + 1e-7)
    shifted = jnp.zeros((*patches.shape[:1], size, size, patches.shape[-1]), patches.dtype)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            weight = hat(direction[:, 0] - row) * hat(direction[:, 1] - column)
            window = patches[:, 1 + row : 1 + row + size, 1 + column : 1 + column + size]
            shifted = shifted + weight[:, None, None, None] * window
    here = jax.lax.stop_gradient(patches[:, 1:-1, 1:-1])
    per_pixel = jnp.mean(magnitude(shifted - here), -1)

    pixels = [span(origins[:, axis], size) for axis in (0, 1)]
    inside = [(p >= 0) & (p < reader.side) for p in pixels]
    stretch = reader.side / (reader.side - 1)
    squared = [jnp.square(p.astype(jnp.float32) * stretch - handles_yx[:, axis, None]) for axis, p in enumerate(pixels)]
    near = squared[0][:, :, None] + squared[1][:, None, :] < radius**2
    counted = (near & inside[0][:, :, None] & inside[1][:, None, :]).astype(per_pixel.dtype)
    mean = jnp.sum(counted * per_pixel, (1, 2)) / jnp.maximum(jnp.sum(counted, (1, 2)), 1.0)
    return jnp.where(valid & (far > jnp.minimum(tolerance, 1.0)), mean, 0.0)
