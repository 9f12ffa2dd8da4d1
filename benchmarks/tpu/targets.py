"""The TPUs that are compiled for, and their compiler, which needs none of them at hand.

Sources: Google's tables of peak rates a chip (197 TFLOP/s in bfloat16 and 819 GB/s for v5e, 918 and 1640 for v6e). The
clock is what the peak comes to at four matrix units of 128 × 128 (v6e: 256 × 256) multiply-adds a cycle.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from dragspace_jax.errors import DragspaceError

NO_COMPILER = (
    "TPU's compiler is not installed here, so nothing can be compiled for one; pip install 'dragspace-jax[tpu]' brings "
    "it, and no TPU is needed for it"
)


class TargetError(DragspaceError):
    """A TPU that cannot be compiled for; the message says what is missing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of TPU.

    Attributes:
      name: as `--target` takes it.
      topology: of the smallest slice that the compiler knows, and more chips than one.
      accelerator: what the runtime calls that slice.
      flops: floating-point operations a second in bfloat16, at most.
      bandwidth: bytes a second between the main memory and the chip.
      clock: cycles a second.
    """

    name: str
    topology: str
    accelerator: str
    flops: float
    bandwidth: float
    clock: float


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target(
            name="v5e",
            topology="v5e:2x2",
            accelerator="v5litepod-4",
            flops=197e12,
            bandwidth=819e9,
            clock=1.5e9,
        ),
        Target(
            name="v6e",
            topology="v6e:2x2",
            accelerator="v6e-4",
            flops=918e12,
            bandwidth=1640e9,
            clock=1.75e9,
        ),
    )
}


def is_installed() -> bool:
    """Whether TPU's compiler is."""
    return importlib.util.find_spec("libtpu") is not None


def devices(target: Target) -> list[Any]:
    """The four chips of a slice, to compile for.

    Raises:
      TargetError: the compiler is not installed, or does not know the slice.
    """
    if not is_installed():
        raise TargetError(NO_COMPILER)
    # It would ask the cloud's metadata server what it runs on, and keep a chip that is not there to one process.
    about = {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": target.accelerator,
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    }
    for name, value in about.items():
        os.environ.setdefault(name, value)
    from jax.experimental import topologies

    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=target.topology).devices)
    except Exception as error:  # whatever the runtime raises, the user needs its words
        raise TargetError(f"TPU's compiler cannot be started for {target.topology}: {error}") from error
