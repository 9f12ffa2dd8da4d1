"""What the device reaches at best: multiply-adds in a large square matmul, bytes of a large array read.

    python -m benchmarks.device_rates

From them follows the roofline of an iteration, a bound on its time from below: each convolution takes at least its
multiply-adds at the matmul's rate, and at least the reading of its weights; the larger of the two counts, summed over
the convolutions, which run one after the other.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import click
import jax
import jax.numpy as jnp

from . import report
from .flops import Convolution
from .machine import accelerated, cores, facts
from .report import Column, Table

Precision = Literal["float32", "bfloat16"]
REPEATS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates:
    """What the device reaches.

    Attributes:
      flops: floating-point operations a second (two per multiply-add) of a square matmul.
      bandwidth: bytes a second read from memory.
      matmul_side: side of that matmul.
      dtype: its type; float32 with all its bits.
    """

    flops: float
    bandwidth: float
    matmul_side: int
    dtype: Precision

    def roofline_ms(self, convolutions: Iterable[Convolution], lanes: int = 1) -> float:
        """The least time of some convolutions; lanes share the reading of the weights."""
        width = jnp.dtype(self.dtype).itemsize / 4
        return 1e3 * sum(
            max(2 * lanes * c.multiply_adds / self.flops, width * c.weight_bytes / self.bandwidth) for c in convolutions
        )


def _fastest(function: Callable[..., jax.Array], *arguments: Any) -> float:
    """Seconds of the fastest of some calls, after a warm-up: other programs only ever slow a call down."""
    function(*arguments).block_until_ready()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function(*arguments).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@jax.jit
def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    # float32 means float32, as in the drag loop; for bfloat16 the precision changes nothing.
    return jnp.matmul(a, b, precision="highest")


@jax.jit
def _read(x: jax.Array) -> jax.Array:
    return jnp.sum(x, -1)


@functools.cache
def measure(dtype: Precision = "float32", side: int | None = None, read_bytes: int | None = None) -> Rates:
    """Measure the default device; by default a matmul of 2048 and 256 MB on a CPU, of 8192 and 4 GB elsewhere."""
    side = side or (8192 if accelerated() else 2048)
    read_bytes = read_bytes or (4 << 30 if accelerated() else 256 << 20)
    a = jax.random.normal(jax.random.key(0), (side, side), jnp.dtype(dtype))
    flops = 2 * side**3 / _fastest(_product, a, a)
    rows = jnp.ones((max(read_bytes // 4096, 1), 1024), jnp.float32)
    return Rates(flops=flops, bandwidth=rows.nbytes / _fastest(_read, rows), matmul_side=side, dtype=dtype)


TABLE = Table(
    "what the device reaches",
    [
        Column("type", ["dtype"]),
        Column("matmul side", ["matmul_side"], "{:d}"),
        Column("matmul, GFLOP/s", ["gflops"], "{:.0f}"),
        Column("memory, GB/s", ["gbytes"], "{:.1f}"),
    ],
)


@click.command(help=__doc__)
@click.option(
    "--out", default=Path("out/benchmarks/device_rates.json"), type=click.Path(path_type=Path, dir_okay=False)
)
def main(out: Path) -> None:
    with cores(None) as count:
        measured = [measure(dtype) for dtype in get_args(Precision)]
        rows = [{**dataclasses.asdict(r), "gflops": r.flops / 1e9, "gbytes": r.bandwidth / 1e9} for r in measured]
        report.finish(report.results_console(), out, facts(count), [TABLE], rows)


if __name__ == "__main__":
    main()
