"""The engine of a drag: features near the handles, from windows or from the whole map.

Both give the same numbers (DESIGN §6). Windows cost a few per cent of the whole map; a mask needs the whole map, since
it looks at the features everywhere.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from dragspace_jax.drag.patches import PatchReader, position_of, positions_under
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.stylegan2 import Generator, GeneratorConfig, Styles
from dragspace_jax.stylegan2.convolution import Kernel
from dragspace_jax.stylegan2.windows import WindowPlan, plan_windows


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Engine:
    """A model made ready for edits of one kind.

    Attributes:
      model: the generator.
      kernels: its weights made ready, up to the feature block.
      plan: how the windows lie (static).
    """

    model: Generator
    kernels: dict[str, Kernel]
    plan: WindowPlan = dataclasses.field(metadata={"static": True})

    def read(self, styles: Styles, handles_yx: jax.Array, lane: jax.Array, settings: DragSettings) -> PatchReader:
        """Features for one iteration of B lanes with N handles among them.

        Args:
          styles: {name: [B, C]}.
          handles_yx: [N, 2], whole pixels: the positions before tracking.
          lane: int32 [N], which lane each handle belongs to.
          settings: resolved, those the engine was made for.
        """
        side = self.model.config.resolution
        first = jnp.round(handles_yx).astype(jnp.int32) - _reach(settings, side) - 1
        origin = jnp.floor(position_of(first, side, self.plan.top)).astype(jnp.int32)
        size = self.plan.blocks[-1].gives if self.plan.blocks else self.plan.top
        # float32 means float32: accelerators would otherwise convolve with fewer bits and lose the published path.
        with jax.default_matmul_precision("highest" if settings.dtype == "float32" else "default"):
            features = self.model.synthesis.windows(
                styles,
                self.plan,
                jnp.minimum(origin, self.plan.top - size),
                lane,
                noise=settings.noise,
                kernels=self.kernels,
                dtype=jnp.dtype(settings.dtype),
            )
        return PatchReader.of(features, side, lane)


def _reach(settings: DragSettings, side: int) -> int:
    """How far from its last position the features of a handle are read, in pixels; one farther towards the origin."""
    return settings.pixels(settings.radius_track, side) + settings.pixels(settings.radius_motion, side)


def make_plan(config: GeneratorConfig, settings: DragSettings, handles: float) -> WindowPlan:
    """The windows for so many handles an image; settings resolved."""
    block = settings.feature_block
    assert block is not None  # `DragSettings.resolved` filled it in
    if settings.engine == "whole":
        return WindowPlan(top=block, blocks=())
    size = positions_under(2 * _reach(settings, config.resolution) + 2, config.resolution, block)
    return plan_windows(config, block, size, handles)


def make_engine(model: Generator, settings: DragSettings, handles: float) -> Engine:
    """Make a model ready for edits of so many handles, or so many on average; settings resolved."""
    plan = make_plan(model.config, settings, handles)
    return Engine(model=model, kernels=_kernels(model, plan.top, settings.dtype), plan=plan)


@partial(jax.jit, static_argnames=("stop_at", "dtype"))
def _kernels(model: Generator, stop_at: int, dtype: str) -> dict[str, Kernel]:
    return model.synthesis.kernels(stop_at, jnp.dtype(dtype))
