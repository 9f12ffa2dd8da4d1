"""A Ray cluster as a batch needs it: joined or started, how many workers have room, and what a worker is there."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import math
import os
import warnings
from collections import OrderedDict
from typing import Any

from dragspace_jax.batch.worker import Worker
from dragspace_jax.drag import BatchError
from dragspace_jax.placement import PLATFORMS

KEPT_SPACES = 64
"""Bases that the driver and each worker hold."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where the workers are.

    Attributes:
      address: of a Ray cluster, `auto` for the one that this machine belongs to; None: one is started on this machine.
      workers: how many; None: one for each GPU, for each machine with TPUs, else for each machine.
      platform: of their devices; None: accelerators if the cluster has any.
    """

    address: str | None = None
    workers: int | None = None
    platform: str | None = None


def cluster_of(on: str | None, workers: int | None, device: Any) -> Cluster | None:
    """What `on`, `workers` and `device` ask for; None: this process alone.

    Raises:
      BatchError: they do not fit together, or Ray is not installed.
    """
    if on is None:
        if workers is not None:
            raise BatchError("`workers` goes with `on`: give on='ray'", field="workers on")
        return None
    kind, _, address = on.partition(":")
    if kind != "ray":
        raise BatchError(f"on is {on!r}; it must be ray or ray:ADDRESS", field="on")
    if workers is not None and workers < 1:
        raise BatchError(f"workers is {workers}; it must be a whole number from 1", field="workers")
    if device is not None and device not in PLATFORMS:
        raise BatchError(
            f"device is {device!r}; on Ray it must be one of {', '.join(PLATFORMS)}: each worker gets its own",
            field="device",
        )
    if importlib.util.find_spec("ray") is None:
        raise BatchError("on ray: Ray is not installed; pip install 'dragspace-jax[ray]'", field="on")
    return Cluster(address=address or None, workers=workers, platform=device)


def connect(ray: Any, cluster: Cluster) -> bool:
    """Join the cluster; whether it was joined here.

    Raises:
      BatchError: there is none.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "critical"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forking beside JAX's threads: what is forked runs another program
            _init(ray, cluster, quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        place = cluster.address or "this machine"
        raise BatchError(f"on ray: no cluster at {place}: {' '.join(str(error).split())}", field="on") from error
    return True


def _init(ray: Any, cluster: Cluster, quiet: dict[str, Any]) -> None:
    if cluster.address is None:
        ray.init(address="local", include_dashboard=False, **quiet)
    else:
        ray.init(address=cluster.address, **quiet)


def places(ray: Any, cluster: Cluster) -> tuple[int, dict[str, Any], int | None]:
    """How many workers, what each needs of a machine, and on CPUs how many cores.

    Raises:
      BatchError: there is not so much.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has = {platform: [int(node.get(platform.upper(), 0)) for node in nodes] for platform in PLATFORMS}
    platform = cluster.platform or next(name for name in ("gpu", "tpu", "cpu") if name == "cpu" or any(has[name]))
    wanted = cluster.workers
    if platform == "gpu":
        room, needs, cores = sum(has["gpu"]), {"num_gpus": 1}, None
    elif platform == "tpu":  # one process drives all chips of a machine
        chips = min((n for n in has["tpu"] if n), default=1)
        room, needs, cores = sum(n // chips for n in has["tpu"]), {"resources": {"TPU": chips}}, None
    else:
        machines = sum(n > 0 for n in has["cpu"])
        each = math.ceil((wanted or machines) / max(machines, 1))
        cores = max(1, min((n for n in has["cpu"] if n), default=1) // each)
        room, needs = sum(n // cores for n in has["cpu"]), {"num_cpus": cores}
    count = wanted or room
    if not 0 < count <= room:
        raise BatchError(
            f"workers: {wanted or 'some'} on {platform} were asked for, and the cluster has room for {room}",
            field="workers",
        )
    return count, needs, cores


class WorkerOnRay(Worker):
    """A worker that gets what it needs out of Ray's store.

    Args:
      options: the reference of its options, wrapped.
      rank: its number.
    """

    def __init__(self, options: list[Any], rank: int) -> None:
        super().__init__(importlib.import_module("ray").get(options[0]), rank, _Fetch())


class _Fetch:
    """Gets spaces out of Ray's store, each once in a worker."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def __call__(self, wrapped: list[Any]) -> Any:
        name = wrapped[0].hex()
        if name not in self._kept:
            self._kept[name] = importlib.import_module("ray").get(wrapped[0])
            if len(self._kept) > KEPT_SPACES:
                self._kept.popitem(last=False)
        return self._kept[name]
