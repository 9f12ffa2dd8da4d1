"""The iteration of one drag, compiled before anything is allocated for the drag.

The compiler takes more memory than an iteration does, so the peak of a first drag is lower if the kernels and the state
come after it. What is compiled depends on shapes alone, and is kept as `jax.jit` would keep it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from dragspace_jax.drag.capacity import Device
from dragspace_jax.drag.features import make_engine
from dragspace_jax.drag.loop import Start, advance, begin
from dragspace_jax.stylegan2 import Generator


def compiled_iteration(model: Generator, start: Start) -> Callable[..., Any]:
    """`advance` for this model and edit; where the model lies on several devices, `advance` itself."""
    leaves, structure = jax.tree.flatten((model, start))
    devices = {device for leaf in jax.tree.leaves(model) for device in leaf.devices()}
    if len(devices) > 1:
        return advance
    return _compiled(structure, tuple((leaf.shape, leaf.dtype.name) for leaf in leaves), *devices)


@functools.lru_cache(maxsize=32)
def _compiled(structure: Any, shapes: tuple[tuple[tuple[int, ...], str], ...], device: Device) -> Callable[..., Any]:
    def on_device(tree: Any) -> Any:
        sharding = jax.sharding.SingleDeviceSharding(device)
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)

    leaves = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    model, start = on_device(jax.tree.unflatten(structure, leaves))
    handles = start.handles_yx.shape[0]
    engine = jax.eval_shape(lambda model: make_engine(model, start.settings, handles), model)
    lanes, state = jax.eval_shape(begin, engine, start)
    return advance.lower(on_device(engine), on_device(lanes), on_device(state)).compile()
