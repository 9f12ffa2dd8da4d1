"""3×3 convolutions with one weight for a whole batch: valid, and transposed with stride 2; their kernels made ready.

On a CPU, a convolution of few positions is fastest as patches times a matrix, forward and backward: the weight is read
once, as it lies, and no gradient needs it flipped. Larger ones, and all on accelerators, are left to XLA. A transposed
one is four of these there, a phase each; accelerators have it as one convolution of a spread input, and interleaving
phases costs them more than the convolutions. So the program depends on the platform that it is compiled for, which need
not be the one that compiles it: a kernel made ready names its platform, and without one JAX chooses when it lowers.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from dragspace_jax.stylegan2.resample import interleave

_PATCH_BYTES = 2**26  # patches beyond this size leave the caches, and XLA's own convolution is faster
_EVEN, _ODD = slice(None, None, -2), slice(1, 2)
_PHASES = tuple((rows, columns) for rows in (_EVEN, _ODD) for columns in (_EVEN, _ODD))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """A 3×3 weight as the convolutions want it; made once for an edit, since weights do not change in one.

    Attributes:
      parts: one weight [3, 3, I, O]; of a transposed convolution on a CPU its four phases: rows even and odd, in each
        columns even and odd, [2, 2, I, O], [2, 1, I, O], [1, 2, I, O] and [1, 1, I, O].
      energy: [I, O] float32, the sum over taps of the squared weight.
      platform: what the convolution is compiled for, such as `cpu` or `tpu` (static); None: chosen in lowering, which
        gives the same program after a longer trace.
    """

    parts: tuple[jax.Array, ...]
    energy: jax.Array
    platform: str | None = dataclasses.field(default=None, metadata={"static": True})

    @classmethod
    def of(
        cls,
        weight: Float[Array, "3 3 I O"],
        *,
        transposed: bool,
        dtype: jnp.dtype | type = jnp.float32,
        platform: str | None = None,
    ) -> Kernel:
        """A weight made ready for values of type `dtype` on a platform (None: any)."""
        parts = _phases(weight) if transposed and platform == "cpu" else (weight,)
        # Tap by tap: a CPU reduces over leading axes fifty times slower.
        taps = [jnp.square(weight[i, j]) for i in range(weight.shape[0]) for j in range(weight.shape[1])]
        energy = functools.reduce(jnp.add, taps)
        return cls(parts=tuple(part.astype(dtype) for part in parts), energy=energy, platform=platform)


def _phases(weight: Float[Array, "3 3 I O"]) -> tuple[jax.Array, ...]:
    return tuple(weight[rows, columns] for rows, columns in _PHASES)


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


def transposed_convolution(x: Float[Array, "B n n I"], kernel: Kernel) -> Float[Array, "B 2*n-1 2*n-1 O"]:
    """Stride-2 transposed 3×3 convolution of a map with margins.

    It gives the positions 1 … 2n-1 of the full result, those that the four-tap filter reads.
    """
    if kernel.platform is None:
        weight = kernel.parts[0]
        return jax.lax.platform_dependent(
            x, weight, cpu=lambda x, weight: _by_phases(x, _phases(weight), "cpu"), default=_spread_by_xla
        )
    if kernel.platform == "cpu":
        return _by_phases(x, kernel.parts, kernel.platform)
    return _spread_by_xla(x, kernel.parts[0])


def _by_phases(
    x: Float[Array, "B n n I"], parts: tuple[jax.Array, ...], platform: str
) -> Float[Array, "B 2*n-1 2*n-1 O"]:
    """An even position 2i holds x[i]·w[0] + x[i-1]·w[2], an odd one 2i+1 x[i]·w[1]: no tap meets an inserted zero."""
    # A row of zeros in front makes all four phases n × n; the position it stands for is cut off below.
    padded = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
    phases = []
    for part in parts:
        rows, columns = (2 - size for size in part.shape[:2])
        phases.append(convolve_valid(padded[:, rows:, columns:], part, platform=platform))
    even_rows, odd_rows = interleave(phases[0], phases[1], 2), interleave(phases[2], phases[3], 2)
    return interleave(even_rows, odd_rows, 1)[:, 1:, 1:]


def _spread_by_xla(x: Float[Array, "B n n I"], weight: Float[Array, "3 3 I O"]) -> Float[Array, "B 2*n-1 2*n-1 O"]:
    """A convolution by the flipped weight of x with a zero after every position, which XLA does not multiply."""
    weight = weight[::-1, ::-1].astype(x.dtype)
    return jax.lax.conv_general_dilated(
        x, weight, (1, 1), ((1, 1), (1, 1)), lhs_dilation=(2, 2), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
