"""The compiled programs of a drag, kept by devices and shapes, so that a second drag of a kind compiles nothing.

With several devices lanes and handles are divided among them by `shard_map`: a device runs its own lanes with its own
handles and waits for no other inside a chunk.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dragspace_jax.device_memory import Device
from dragspace_jax.drag.edit import Edit
from dragspace_jax.drag.lanes import moved, refill, run_chunk
from dragspace_jax.drag.loop import begin, latents
from dragspace_jax.drag.state import DragState, Lanes, Start, StepInfo
from dragspace_jax.kept_programs import KeptJit
from dragspace_jax.networks import Model, Network

_AXIS = "lanes"
_KEPT = 64  # compiled chunks
_SHARED, _DIVIDED, _TRACE = PartitionSpec(), PartitionSpec(_AXIS), PartitionSpec(None, _AXIS)


def programs_of(edit: Edit, devices: tuple[Device, ...], chunk: int, coordinates: bool) -> Programs:
    """The programs for edits like this one.

    Whole maps on a CPU run one iteration at a time: within a loop XLA computes them two and a half times slower, which
    is more than the host takes between two chunks.
    """
    whole_on_cpu = edit.settings.engine == "whole" and devices[0].platform == "cpu"
    return programs_for(devices, 1 if whole_on_cpu else chunk, coordinates)


@functools.lru_cache(maxsize=16)
def programs_for(devices: tuple[Device, ...], chunk: int, coordinates: bool) -> Programs:
    """The programs for some devices, the same object every time."""
    return Programs(devices, chunk, coordinates)


@dataclasses.dataclass(frozen=True, eq=False)
class Chunk:
    """`run_chunk`, compiled.

    Attributes:
      run: network, lanes, state → state, iterations executed, trace; the state is donated.
      empty: lanes and a state in which nothing is: what the first `refill` takes.
      scratch: bytes it needs on each device beside its arguments and results.
      seconds: what compiling took.
    """

    run: Callable[..., Any]
    empty: Callable[[], tuple[Lanes, DragState]]
    scratch: int
    seconds: float


class Programs:
    """The functions of `lanes`, compiled for some devices.

    Args:
      devices: where the lanes run.
      chunk: iterations of a chunk.
      coordinates: whether the trace holds the coordinates.

    Attributes:
      compile_seconds: what compiling chunks has taken so far.
    """

    def __init__(self, devices: tuple[Device, ...], chunk: int, coordinates: bool) -> None:
        self.devices, self.chunk, self.coordinates = devices, chunk, coordinates
        self._mesh = Mesh(np.array(devices), (_AXIS,))
        self._chunks: dict[Any, Chunk] = {}
        self.compile_seconds = 0.0

    def placed(self, tree: Any, *, divided: bool) -> Any:
        """A pytree on the devices: divided along its first axis, or all of it on each."""
        return jax.device_put(tree, self._sharding(divided=divided))

    def _sharding(self, *, divided: bool) -> NamedSharding:
        return NamedSharding(self._mesh, _DIVIDED if divided else _SHARED)

    def prepared(self, model: Model, edit: Edit, handles: float) -> Network:
        """The model made ready for edits like this one, with so many handles each, on the devices."""
        return self.placed(_prepare(model, edit, handles, self.devices[0].platform), divided=False)

    def shapes(self, model: Model, edit: Edit, handles: float, start: Start) -> tuple[Network, Lanes, DragState]:
        """What a chunk takes, as shapes on the devices: nothing is allocated."""
        platform = self.devices[0].platform
        network = jax.eval_shape(lambda model: _prepare(model, edit, handles, platform), model)
        lanes, state = jax.eval_shape(begin, network, start)

        def on_devices(tree: Any, *, divided: bool) -> Any:
            sharding = self._sharding(divided=divided)
            return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)

        return (
            on_devices(network, divided=False),
            on_devices(lanes, divided=True),
            on_devices(state, divided=True),
        )

    def chunk_for(self, shapes: tuple[Network, Lanes, DragState]) -> Chunk:
        """The chunk for arrays of these shapes, compiled now if it never was."""
        leaves, structure = jax.tree.flatten(shapes)
        key = structure, tuple((leaf.shape, leaf.dtype.name) for leaf in leaves)
        if key not in self._chunks:
            began = time.perf_counter()
            run, compiled = self._run.compiled(*shapes)
            seconds = time.perf_counter() - began
            needed = compiled.memory_analysis()
            assert needed is not None  # CPUs, GPUs and TPUs tell it
            scratch = int(needed.temp_size_in_bytes)
            while len(self._chunks) >= _KEPT:
                del self._chunks[next(iter(self._chunks))]
            self._chunks[key] = Chunk(run=run, empty=_zeros(shapes[1:]), scratch=scratch, seconds=seconds)
            self.compile_seconds += seconds
        return self._chunks[key]

    def lowered(self, shapes: tuple[Network, Lanes, DragState]) -> jax.stages.Lowered:
        """The chunk for arrays of these shapes as JAX lowers it, for those who look at what a compiler makes of it.

        The devices may be those of a topology, which nobody has at hand.
        """
        return self._run.lowered(*shapes)

    def _compiled(
        self,
        function: Callable[..., Any],
        shared: int,
        divided: int,
        *,
        name: str | None = None,
        results: Callable[..., Any] = tuple,
        out: Any = _DIVIDED,
        donated: tuple[int, ...] = (),
    ) -> KeptJit:
        """Each device runs `function` on its part; the first `shared` arguments are the same for all.

        `name` and `results`, as `KeptJit` has them, keep the program of one device between runs.
        """
        if len(self.devices) > 1:
            specs = (_SHARED,) * shared + (_DIVIDED,) * divided
            function = jax.shard_map(function, mesh=self._mesh, in_specs=specs, out_specs=out, check_vma=False)
            name = None
        return KeptJit(function, name=name, results=results, donate_argnums=donated)

    @cached_property
    def _run(self) -> KeptJit:
        return self._compiled(
            partial(run_chunk, length=self.chunk, coordinates=self.coordinates),
            1,
            2,
            name=f"chunk {self.chunk} {self.coordinates}",
            results=lambda network, lanes, state: (state, state.iteration, self._told(state)),
            out=(_DIVIDED, _DIVIDED, _TRACE),
            donated=(2,),
        )

    def _told(self, state: DragState) -> StepInfo:
        """What a chunk tells of its iterations has the structure of what is told of one."""
        point, coordinates = state.accepted, state.coordinates if self.coordinates else None
        return StepInfo(handles_yx=point.progress.handles_yx, loss=point.loss, coordinates=coordinates)

    @cached_property
    def refill(self) -> Any:
        """`refill`; lanes and state are donated."""
        return self._compiled(
            refill, 1, 6, name="refill", results=lambda network, lanes, state, *more: (lanes, state), donated=(1, 2)
        )

    @cached_property
    def latents(self) -> Any:
        """`latents`."""
        return self._compiled(latents, 0, 2)

    @cached_property
    def moved(self) -> Any:
        """`moved`; an edit may come to another device, so this one is left to the partitioner."""
        return jax.jit(moved, out_shardings=self._sharding(divided=True))


def _zeros(held: Any) -> Callable[[], Any]:
    """What fills arrays of these shapes with zeros, all by one program."""
    shardings = jax.tree.map(lambda x: x.sharding, held)
    return jax.jit(lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), held), out_shardings=shardings)


def _prepare(model: Model, edit: Edit, handles: float, platform: str) -> Network:
    settings, method = edit.settings, edit.settings.method
    assert settings.feature_block is not None  # the edit is resolved
    return model.prepare(
        block=settings.feature_block,
        reach=method.objective.reach(settings, model.config.resolution),
        handles=1.0 if method.direction.per_handle else handles,
        windows=settings.engine == "window",
        noise=settings.noise,
        dtype=settings.dtype,
        platform=platform,
    )
