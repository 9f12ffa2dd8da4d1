"""What is compiled for a TPU: chunks of drags, pictures, a Jacobian, of the 512 px generator of the other benchmarks.

Programs are made from shapes alone: no weight is drawn, no latent computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import SingleDeviceSharding

from dragspace_jax.analysis.jacobian import gram
from dragspace_jax.drag.edit import Edit, published_method
from dragspace_jax.drag.many import DEFAULT_CHUNK
from dragspace_jax.drag.metric import CELLS
from dragspace_jax.drag.programs import programs_for
from dragspace_jax.drag.recipes import complete_settings
from dragspace_jax.drag.table import Table
from dragspace_jax.metrics.change import SIDE
from dragspace_jax.spaces import PCA, Space, WPlus
from dragspace_jax.spaces.option_fields import DEFAULT_COMPONENTS, WHITENED_COMPONENTS
from dragspace_jax.spaces.wplus import default_layers
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.synthesis import Synthesis

from ..case import CASES, Case
from ..device_rates import Precision


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """A program as JAX lowers it for a TPU.

    Attributes:
      lowered: the program.
      loops: whether one trip of its outer loop is what counts, or else the whole.
      units: what that does: edit-iterations, images, or Jacobians.
    """

    lowered: jax.stages.Lowered
    loops: bool
    units: int


Maker = Callable[[Case, Sequence[Any], int, Precision], Program]
"""(the edit, devices, lanes on each of them, type) → the program."""


def shapes_of(case: Case) -> Generator:
    """The case's generator without its weights."""
    return nnx.eval_shape(lambda: Generator(case.config, rngs=nnx.Rngs(0)))


def _basis(case: Case, components: int) -> PCA:
    """Principal components of W, all zeros: only their shapes count."""
    width = case.config.w_dim
    vector = np.zeros(components, np.float32)
    return PCA(
        components=np.zeros((components, width), np.float32),  # type: ignore[arg-type]
        variance=vector,  # type: ignore[arg-type]
        scale=vector,  # type: ignore[arg-type]
        mean=np.zeros(width, np.float32),  # type: ignore[arg-type]
    )


def _edit(case: Case, recipe: str, dtype: Precision) -> Edit:
    """The case's edit by a recipe, in the recipe's space."""
    side, mask = case.side, case.mask
    arrays = {} if mask is None else {"mask": mask}
    settings = complete_settings(recipe, side, {"dtype": dtype})
    settings = settings.resolved(case.config, masked=mask is not None)
    space: Space = WPlus(layers=default_layers(case.config.num_ws))
    if settings.method is None:
        settings = dataclasses.replace(settings, method=published_method())
    if recipe != "published":
        space = _basis(case, WHITENED_COMPONENTS if recipe == "least-change" else DEFAULT_COMPONENTS)
    if recipe == "least-change":
        width = space.dim(case.config.w_dim)
        of_metric = {"rotation": (width, width), "spectrum": (width,), "stretch": (2,)}
        arrays = {name: np.zeros(shape, np.float32) for name, shape in of_metric.items()}
    return Edit(
        id="",
        latents=Latents(ws=np.zeros((case.config.num_ws, case.config.w_dim), np.float32)),  # type: ignore[arg-type]
        handles_yx=case.points_yx.astype(np.float32),
        targets_yx=case.targets_yx.astype(np.float32),
        arrays=arrays,
        space=space,
        settings=settings,
    )


def drag(case: Case, devices: Sequence[Any], lanes: int, dtype: Precision, *, recipe: str) -> Program:
    """A chunk of iterations of `lanes` edits on each device."""
    edit, count = _edit(case, recipe, dtype), len(case.points)
    table = Table(edit, lanes=lanes * len(devices), handles=lanes * len(devices) * count, devices=len(devices))
    for lane in range(table.lanes):
        table.put(lane, edit)
    programs = programs_for(tuple(devices), DEFAULT_CHUNK, False)
    shapes = programs.shapes(shapes_of(case), edit, float(count), table.start())
    return Program(lowered=programs.lowered(shapes), loops=True, units=lanes)


def generate(case: Case, devices: Sequence[Any], lanes: int, dtype: Precision) -> Program:
    """`lanes` images of latents."""

    def images(synthesis: Synthesis, ws: jax.Array) -> jax.Array | None:
        return synthesis(ws, dtype=jnp.dtype(dtype)).image

    ws = jax.ShapeDtypeStruct((lanes, case.config.num_ws, case.config.w_dim), jnp.float32)
    return Program(lowered=_lowered(images, devices, shapes_of(case).synthesis, ws), loops=False, units=lanes)


def jacobian(case: Case, devices: Sequence[Any], lanes: int, dtype: Precision) -> Program:
    """The Gram matrices of a Jacobian, of a small picture by principal components of W, as a model's metric has them.

    One at a time, whatever the lanes, and in float32, whatever the type.
    """
    del lanes, dtype
    basis, side = _basis(case, WHITENED_COMPONENTS), min(SIDE, case.side)

    def picture(of: tuple[Synthesis, PCA], coordinates: jax.Array, ws: jax.Array) -> jax.Array:
        synthesis, space = of
        moved = ws.at[: space.layers].add(space.displaced(coordinates))
        image = synthesis.render(synthesis.styles(moved[None]), stop_at=side, preview=True).image
        assert image is not None  # asked for
        return image[0]

    arguments = (
        (shapes_of(case).synthesis, basis),
        jax.ShapeDtypeStruct((basis.dim(case.config.w_dim),), jnp.float32),
        jax.ShapeDtypeStruct((case.config.num_ws, case.config.w_dim), jnp.float32),
        jax.ShapeDtypeStruct((CELLS**2, side, side), jnp.float32),
    )

    def matrices(of: Any, at: jax.Array, ws: jax.Array, weights: jax.Array) -> jax.Array:
        return gram(picture, of, at, ws, weights, "each")

    return Program(lowered=_lowered(matrices, devices, *arguments), loops=False, units=1)


def _lowered(function: Callable[..., Any], devices: Sequence[Any], *arguments: Any) -> jax.stages.Lowered:
    sharding = SingleDeviceSharding(devices[0])
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), arguments)
    return jax.jit(function).lower(*shapes)


PROGRAMS: Mapping[str, tuple[Maker, Case]] = {
    "drag": (partial(drag, recipe="published"), CASES["512-one"]),
    "least-change": (partial(drag, recipe="least-change"), CASES["512-one"]),
    "mask": (partial(drag, recipe="published"), CASES["512-mask"]),
    "generate": (generate, CASES["512-one"]),
    "jacobian": (jacobian, CASES["512-one"]),
}
"""By name: the published drag, the default one, one with a mask (whole maps), pictures, a Jacobian."""
