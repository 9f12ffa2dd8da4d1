"""A StyleGAN2 synthesis made ready for edits: features near points, from windows or from the whole map.

Both give the same numbers (docs/design.md#exact-windows). Windows cost a few per cent of the whole map; an objective
that looks at the features everywhere, as a mask does, needs the whole map.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Int32

from dragspace_jax.networks import Grid, PatchReader
from dragspace_jax.networks.convolution import is_accelerator
from dragspace_jax.stylegan2.block import NOTHING_KNOWN, Known, Styles
from dragspace_jax.stylegan2.config import GeneratorConfig
from dragspace_jax.stylegan2.convolution import Kernel
from dragspace_jax.stylegan2.latents import Latents
from dragspace_jax.stylegan2.synthesis import Synthesis
from dragspace_jax.stylegan2.windows import WindowPlan, plan_windows

_PREVIEW = 32  # side of a preview
_WORTH_NARROWING = 0.5  # of the multiply-adds; to cut what is known costs a TPU about what 0.7 would save


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedSynthesis:
    """What `networks.Network` asks for. A pytree.

    Attributes:
      synthesis: the network's.
      kernels: its weights made ready, up to the feature block.
      plan: how the windows lie (static).
      reach: how far around a point features are read, in pixels (static).
      noise, dtype: of the synthesis (static).
    """

    synthesis: Synthesis
    kernels: dict[str, Kernel]
    plan: WindowPlan = dataclasses.field(metadata={"static": True})
    reach: int = dataclasses.field(metadata={"static": True})
    noise: Any = dataclasses.field(metadata={"static": True})
    dtype: str = dataclasses.field(metadata={"static": True})

    @property
    def grid(self) -> Grid:
        """How the feature block lies over the image."""
        return Grid.over(self.synthesis.config.resolution, self.plan.top)

    @property
    def channels(self) -> int:
        """Of the feature block."""
        return self.synthesis.config.block_channels(self.plan.top)

    def layer_of(self) -> dict[str, int]:
        """{name of a convolution: index of the W+ layer that feeds it}."""
        return self.synthesis.layer_of()

    def styles(self, latents: Latents, names: Collection[str] | None = None) -> dict[str, Float32[Array, "B _"]]:
        """Latents with a leading B → {name: [B, C]}: the affine maps of ws, and the offsets."""
        return styles_of(self.synthesis, latents, names)

    def image(self, styles: Styles) -> Float32[Array, "B H W C"]:
        """Styles to images."""
        with self._precision():
            image = self.synthesis.render(styles, noise=self.noise, dtype=jnp.dtype(self.dtype)).image
        assert image is not None  # nothing stops below the top here
        return image

    def preview(self, styles: Styles) -> Float32[Array, "B S S C"]:
        """The sum of the RGB up to block 32, or the image where an architecture has no such sum."""
        top = min(_PREVIEW, self.synthesis.config.resolution)
        with self._precision():
            small = self.synthesis.render(
                styles, noise=self.noise, stop_at=top, preview=True, dtype=jnp.dtype(self.dtype)
            ).image
        return self.image(styles) if small is None else small

    def features(self, styles: Styles, points_yx: Float[Array, "N 2"], image: Int32[Array, " N"]) -> PatchReader:
        """Features of B images near N points, as `networks.Network` has it."""
        return self._near(styles, points_yx, image, self.plan, self.reach, NOTHING_KNOWN)

    def nearer(
        self, reader: PatchReader, styles: Styles, points_yx: Float[Array, "N 2"], image: Int32[Array, " N"], reach: int
    ) -> PatchReader:
        """The same features nearer to the points, as `networks.nearer` has it."""
        plan = self.plan.narrowed(self.grid.positions_under(2 * reach + 2))
        config = self.synthesis.config
        if plan.multiply_adds(config) > _WORTH_NARROWING * self.plan.multiply_adds(config):
            return reader
        known = jax.tree.map(jax.lax.stop_gradient, reader.kept)
        return self._near(styles, points_yx, image, plan, reach, known)

    def _near(
        self,
        styles: Styles,
        points_yx: Float[Array, "N 2"],
        image: Int32[Array, " N"],
        plan: WindowPlan,
        reach: int,
        known: Known,
    ) -> PatchReader:
        first = jnp.round(points_yx).astype(jnp.int32) - reach - 1
        origin = jnp.floor(self.grid.position(first)).astype(jnp.int32)
        size = plan.blocks[-1].gives if plan.blocks else plan.top
        with self._precision():
            features, sums = self.synthesis.windows(
                styles,
                plan,
                jnp.minimum(origin, plan.top - size),
                image,
                noise=self.noise,
                kernels=self.kernels,
                known=known,
                dtype=jnp.dtype(self.dtype),
            )
        accelerated = any(is_accelerator(kernel.platform) for kernel in self.kernels.values())
        in_type = accelerated and features.origin_yx is not None
        return PatchReader(
            features=features.values if in_type else features.values.astype(jnp.float32),
            origin_yx=features.origin_yx,
            image=image,
            grid=self.grid,
            kept=sums if plan.blocks else None,
            accelerated=accelerated,
        )

    def _precision(self) -> Any:
        # float32 means float32: accelerators would otherwise convolve with fewer bits and lose the published path.
        return jax.default_matmul_precision("highest" if self.dtype == "float32" else "default")


def styles_of(
    synthesis: Synthesis, latents: Latents, names: Collection[str] | None = None
) -> dict[str, Float32[Array, "B _"]]:
    """Latents with a leading B → {name: [B, C]} for `names` (None: all convolutions)."""
    styles = synthesis.styles(latents.ws, names)
    moved = {name: styles[name] + offset for name, offset in latents.offsets.items() if name in styles}
    return {**styles, **moved}


def make_plan(config: GeneratorConfig, *, block: int, reach: int, handles: float, windows: bool) -> WindowPlan:
    """Which blocks run whole and which in windows; see `networks.Model.prepare`."""
    if not windows:
        return WindowPlan(top=block, blocks=())
    size = Grid.over(config.resolution, block).positions_under(2 * reach + 2)
    return plan_windows(config, block, size, handles)


def prepare(
    synthesis: Synthesis,
    *,
    block: int,
    reach: int,
    handles: float,
    windows: bool,
    noise: str,
    dtype: str,
    platform: str,
) -> PreparedSynthesis:
    """See `networks.Model.prepare`."""
    plan = make_plan(synthesis.config, block=block, reach=reach, handles=handles, windows=windows)
    kernels = _kernels(synthesis, block, dtype, platform)
    return PreparedSynthesis(synthesis=synthesis, kernels=kernels, plan=plan, reach=reach, noise=noise, dtype=dtype)


@partial(jax.jit, static_argnames=("stop_at", "dtype", "platform"))
def _kernels(synthesis: Synthesis, stop_at: int, dtype: str, platform: str) -> dict[str, Kernel]:
    return synthesis.kernels(stop_at, jnp.dtype(dtype), platform)
