"""3×3 convolutions with one weight for a whole batch: valid, and transposed with stride 2; their kernels made ready.

On a CPU, a convolution of few positions is fastest as patches times a matrix, forward and backward: the weight is read
once, as it lies, and no gradient needs it flipped. Larger ones, and all on accelerators, are left to XLA.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp

from dragspace_jax.stylegan2.resample import interleave

_PATCH_BYTES = 2**26  # patches beyond this size leave the caches, and XLA's own convolution is faster
_EVEN, _ODD = slice(None, None, -2), slice(1, 2)
_PHASES = tuple((rows, columns) for rows in (_EVEN, _ODD) for columns in (_EVEN, _ODD))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """A 3×3 weight as the convolutions want it; made once for an edit, since weights do not change in one.

    Attributes:
      parts: one weight [3, 3, I, O], or the four phases of a transposed convolution: rows even and odd, in each
        columns even and odd, [2, 2, I, O], [2, 1, I, O], [1, 2, I, O] and [1, 1, I, O].
      energy: [I, O] float32, the sum over taps of the squared weight.
    """

    parts: tuple[jax.Array, ...]
    energy: jax.Array

    @classmethod
    def of(cls, weight: jax.Array, *, transposed: bool, dtype: jnp.dtype | type = jnp.float32) -> Kernel:
        """weight [3, 3, I, O], made ready for values of type `dtype`."""
        parts = [weight[rows, columns] for rows, columns in _PHASES] if transposed else [weight]
        # Tap by tap: a CPU reduces over leading axes fifty times slower.
        taps = [jnp.square(weight[i, j]) for i in range(weight.shape[0]) for j in range(weight.shape[1])]
        return cls(parts=tuple(part.astype(dtype) for part in parts), energy=functools.reduce(jnp.add, taps))


def convolve_valid(x: jax.Array, weight: jax.Array, stride: int = 1) -> jax.Array:
    """Cross-correlation without padding: x [B, h, w, I], weight [kh, kw, I, O]."""
    weight = weight.astype(x.dtype)
    batch, height, width, channels = x.shape
    rows, columns = weight.shape[:2]
    size = (height - rows + 1, width - columns + 1)
    patch_bytes = batch * math.prod(size) * rows * columns * channels * x.dtype.itemsize
    if stride == 1 and patch_bytes <= _PATCH_BYTES and jax.default_backend() == "cpu":
        patches = _neighbours(_neighbours(x, columns, axis=2), rows, axis=1)
        flat = jnp.matmul(patches.reshape(-1, patches.shape[3]), weight.reshape(patches.shape[3], -1))
        return flat.reshape(batch, *size, -1)
    return jax.lax.conv_general_dilated(
        x, weight, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _neighbours(x: jax.Array, count: int, axis: int) -> jax.Array:
    """Every position of x [B, h, w, C] beside its next `count` - 1 along an axis: [B, …, count·C]."""
    length = x.shape[axis] - count + 1
    cuts = [jax.lax.slice_in_dim(x, i, i + length, axis=axis) for i in range(count)]
    return cuts[0] if count == 1 else jnp.concatenate(cuts, 3)


def transposed_convolution(x: jax.Array, kernel: Kernel) -> jax.Array:
    """Stride-2 transposed 3×3 convolution of a map with margins, in its four phases.

    x [B, n, n, I] → [B, 2n-1, 2n-1, O]: positions 1 … 2n-1 of the full result, those that the four-tap filter reads.
    An even position 2i holds x[i]·w[0] + x[i-1]·w[2], an odd one 2i+1 holds x[i]·w[1]: no tap meets an inserted zero.
    """
    # A row of zeros in front makes all four phases n × n; the position it stands for is cut off below.
    padded = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
    phases = []
    for part in kernel.parts:
        rows, columns = (2 - size for size in part.shape[:2])
        phases.append(convolve_valid(padded[:, rows:, columns:], part))
    even_rows, odd_rows = interleave(phases[0], phases[1], 2), interleave(phases[2], phases[3], 2)
    return interleave(even_rows, odd_rows, 1)[:, 1:, 1:]
