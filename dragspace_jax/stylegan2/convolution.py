"""3×3 convolutions transposed with stride 2, by one weight for a whole batch, and kernels made ready.

A transposed convolution is four plain ones on a CPU (`networks.convolution`), a phase each; accelerators have it as one
convolution of a spread input, and interleaving phases costs them more than the convolutions. So the program depends on
the platform that it is compiled for, which need not be the one that compiles it: a kernel made ready names its
platform, and without one JAX chooses when it lowers.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dragspace_jax.networks.convolution import convolve_valid
from dragspace_jax.stylegan2.resample import interleave

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
