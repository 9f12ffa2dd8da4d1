"""Plain convolutions by one weight for a whole batch.

On a CPU, a convolution of few positions is fastest as patches times a matrix, forward and backward: the weight is read
once, as it lies, and no gradient needs it flipped. Larger ones, and all on accelerators, are left to XLA. So the
program depends on the platform that it is compiled for, which need not be the one that compiles it; where nobody names
it, JAX chooses when it lowers.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

_PATCH_BYTES = 2**26  # patches beyond this size leave the caches, and XLA's own convolution is faster


def platform_of(tree: Any) -> str | None:
    """The platform of the devices on which a tree's arrays lie; None if they are traced, or lie on several.

    Arrays may be those of `jax.ShapeDtypeStruct` with a sharding.
    """
    leaves = jax.tree.leaves(tree)
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return None
    shardings = [leaf.sharding for leaf in leaves if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)]
    platforms = {device.platform for sharding in shardings if sharding is not None for device in sharding.device_set}
    return platforms.pop() if len(platforms) == 1 else None


def is_accelerator(platform: str | None) -> bool:
    """Whether a program is known to be for something else than a CPU."""
    return platform not in (None, "cpu")


def convolve_valid(
    x: Float[Array, "B h w I"], weight: Float[Array, "kh kw I O"], *, stride: int = 1, platform: str | None = None
) -> Float[Array, "B (h-kh)//{stride}+1 (w-kw)//{stride}+1 O"]:
    """Cross-correlation without padding.

    `platform` is what the program is compiled for; None leaves the choice to JAX's lowering.
    """
    weight = weight.astype(x.dtype)
    by_xla = functools.partial(_convolve_by_xla, stride=stride)
    if stride > 1 or _patch_bytes(x, weight) > _PATCH_BYTES or is_accelerator(platform):
        return by_xla(x, weight)
    if platform is None:
        return jax.lax.platform_dependent(x, weight, cpu=_multiply_patches, default=by_xla)
    return _multiply_patches(x, weight)


def _patch_bytes(x: Float[Array, "B h w I"], weight: Float[Array, "kh kw I O"]) -> int:
    """Memory that all patches of x under the weight take."""
    batch, height, width, channels = x.shape
    rows, columns = weight.shape[:2]
    return batch * (height - rows + 1) * (width - columns + 1) * rows * columns * channels * x.dtype.itemsize


def _convolve_by_xla(
    x: Float[Array, "B h w I"], weight: Float[Array, "kh kw I O"], *, stride: int
) -> Float[Array, "B (h-kh)//{stride}+1 (w-kw)//{stride}+1 O"]:
    return jax.lax.conv_general_dilated(
        x, weight, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _multiply_patches(
    x: Float[Array, "B h w I"], weight: Float[Array, "kh kw I O"]
) -> Float[Array, "B h-kh+1 w-kw+1 O"]:
    """The convolution of stride 1 as patches [B · h' · w', kh · kw · I] times a matrix."""
    rows, columns = weight.shape[:2]
    patches = _neighbours(_neighbours(x, columns, axis=2), rows, axis=1)
    flat = jnp.matmul(patches.reshape(-1, patches.shape[3]), weight.reshape(patches.shape[3], -1))
    return flat.reshape(*patches.shape[:3], -1)


def _neighbours(x: Float[Array, "B h w C"], count: int, axis: int) -> Float[Array, "B _ _ {count}*C"]:
    """Every position of x beside its next `count` - 1 along an axis."""
    length = x.shape[axis] - count + 1
    cuts = [jax.lax.slice_in_dim(x, i, i + length, axis=axis) for i in range(count)]
    return cuts[0] if count == 1 else jnp.concatenate(cuts, 3)
