"""A network of a few lines, and what else fits the seams of a drag: an objective, directions, a step size, spaces."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.drag.method import Limits, Proposal, Pull, Terms
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.drag.state import ByHandle, DragState, Lanes, Point, Progress, per_lane
from dragspace_jax.networks import Grid, Network, PatchReader, Styles
from dragspace_jax.spaces import Space
from dragspace_jax.stylegan2 import Latents
from dragspace_jax.stylegan2.network import PreparedSynthesis

SIDE = 36


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Waves:
    """A pattern of waves that the latents [D] move linearly: by A z pixels, A [2, D]. Model and network in one.

    Its map has 28 positions over 36 pixels, two of them a margin on each side: no whole number, and no edge in common.
    """

    moves: jax.Array
    frequencies: jax.Array

    @property
    def config(self) -> Any:
        return _Config()

    @property
    def grid(self) -> Grid:
        return Grid(side=SIDE, size=28, scale=24 / 36, margin=2.0)

    @property
    def channels(self) -> int:
        return self.frequencies.shape[0]

    def check_latents(self, latents: Any) -> np.ndarray:
        return np.array(latents, np.float32)

    def prepare(self, **about: Any) -> Waves:
        return self

    def styles(self, latents: Any, names: Any = None) -> Styles:
        return {"z": latents}

    def image(self, styles: Styles) -> jax.Array:
        return self._drawn(styles["z"], jnp.arange(SIDE, dtype=jnp.float32))

    def preview(self, styles: Styles) -> jax.Array:
        return self.image(styles)

    def features(self, styles: Styles, points_yx: jax.Array, image: jax.Array) -> PatchReader:
        grid = self.grid
        pixels = (jnp.arange(grid.size, dtype=jnp.float32) + 0.5 - grid.margin) / grid.scale - 0.5
        return PatchReader(features=self._drawn(styles["z"], pixels), origin_yx=None, image=image, grid=grid)

    def shift(self, z: jax.Array) -> jax.Array:
        """z [B, D] → [B, 2] pixels (y, x)."""
        return jnp.einsum("id,bd->bi", self.moves, z, precision=jax.lax.Precision.HIGHEST)

    def _drawn(self, z: jax.Array, pixels: jax.Array) -> jax.Array:
        """[B, len, len, C] at rows and columns of these pixels."""
        at = pixels[None, None, :] - self.shift(z)[:, :, None]
        phase = at[..., None] * self.frequencies.T[None, :, None, :]
        return jnp.sin(phase[:, 0, :, None, :] + phase[:, 1, None, :, :])


@dataclasses.dataclass(frozen=True)
class _Config:
    resolution: int = SIDE
    block_resolutions: tuple[int, ...] = (SIDE,)
    has_windows: bool = True


def waves(width: int = 4) -> Waves:
    """D latents; the first two are rows and columns and a bit of each other."""
    random = np.random.RandomState(0)
    moves = np.concatenate([[[2.0, 0.3], [-0.2, 3.0]], 0.1 * random.randn(2, width - 2)], 1)
    return Waves(
        moves=jnp.asarray(moves, jnp.float32), frequencies=jnp.asarray(random.uniform(-0.5, 0.5, (6, 2)), jnp.float32)
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole(Space):
    """The latents themselves are the coordinates."""

    name = "whole"

    def check(self, model: Any) -> None:
        """Fits any."""

    def encode(self, network: Any, latents: Any) -> tuple[jax.Array, tuple[()]]:
        return latents, ()

    def decode(self, coordinates: jax.Array, base: Any) -> jax.Array:
        return coordinates


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Offsets(Space):
    """Moves the offsets of one convolution's styles, and nothing of W+."""

    name = "offsets"
    layer: str = dataclasses.field(metadata={"static": True})

    def check(self, model: Any) -> None:
        """Fits any that has the convolution."""

    def encode(self, network: PreparedSynthesis, latents: Latents) -> tuple[jax.Array, Latents]:
        return latents.offsets[self.layer], latents

    def decode(self, coordinates: jax.Array, base: Latents) -> Latents:
        return dataclasses.replace(base, offsets={**base.offsets, self.layer: coordinates})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageMatch:
    """The mean squared difference to the edit's `image` [H, W, C]; arrived below 1e-4. Its handles do nothing."""

    def reach(self, settings: DragSettings, side: int) -> int:
        return 1

    def init(self, network: Network, lanes: Lanes) -> tuple[()]:
        return ()

    def blank(self, lanes: Lanes) -> Terms:
        return Terms(loss=jnp.zeros(lanes.count))

    def evaluate(
        self,
        network: Network,
        lanes: Lanes,
        styles: Styles,
        image: jax.Array,
        carry: Any,
        first: jax.Array,
        expected: Any = None,
    ) -> tuple[Terms, tuple[Any, Progress]]:
        difference = network.image(styles) - lanes.arrays["image"]
        loss = jnp.mean(jnp.square(difference), (1, 2, 3))
        start = lanes.handles.start_yx
        handles = ByHandle((start, jnp.zeros(start.shape[0])))
        return Terms(loss=loss), ((), Progress(left=loss, total=loss, reached=loss < 1e-4, handles=handles))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Positions:
    """Where handles are is known: start + shift + bend · sin(shift). Residuals are what is left of the way."""

    bend: float = 0.0

    def reach(self, settings: DragSettings, side: int) -> int:
        return 1

    def init(self, network: Network, lanes: Lanes) -> tuple[()]:
        return ()

    def blank(self, lanes: Lanes) -> Terms:
        return Terms(loss=jnp.zeros(lanes.count), handles=jnp.zeros_like(lanes.handles.start_yx))

    def evaluate(
        self,
        network: Any,
        lanes: Lanes,
        styles: Styles,
        image: jax.Array,
        carry: Any,
        first: jax.Array,
        expected: Any = None,
    ) -> tuple[Terms, tuple[Any, Progress]]:
        handles, lane = lanes.handles, lanes.handles.lane
        shift = network.shift(styles["z"])[image]
        bend = jnp.asarray(self.bend)[lane][:, None]
        at = handles.start_yx + shift + bend * jnp.sin(shift)
        rest = jnp.where(handles.valid[:, None], handles.targets_yx - at, 0.0)
        far = jnp.sqrt(jnp.sum(jnp.square(rest), 1) + 1e-12)
        loss = per_lane(jnp.square(far), lane, lanes.count)
        left = jnp.zeros(lanes.count).at[lane].max(far)
        tolerance = jnp.asarray(lanes.settings.tolerance)
        progress = Progress(left=left, total=left, reached=left <= tolerance, handles=ByHandle((at, far)))
        return Terms(loss=loss, handles=rest), ((), progress)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Newton:
    """The least change of coordinates that takes all residuals of a lane to zero, were they linear."""

    per_handle = True

    def arrays(self, **about: Any) -> dict[str, np.ndarray]:
        return {}

    def init(self, lanes: Lanes, coordinates: jax.Array) -> tuple[()]:
        return ()

    def pull(self, lanes: Lanes, terms: Terms, pull: Pull) -> ByHandle:
        """Two pulls give the rows of all handles, [N, 2, K]."""
        rows = []
        for axis in (0, 1):
            unit = jnp.zeros_like(terms.handles).at[:, axis].set(1.0)  # pyright: ignore[reportArgumentType]
            rows.append(pull(Terms(loss=jnp.zeros_like(terms.loss), handles=unit)))
        return ByHandle(jnp.stack(rows, 1))

    def propose(self, lanes: Lanes, point: Point, limits: Limits, memory: Any) -> tuple[Proposal, Any]:
        rows, lane, exact = point.pulled.value, lanes.handles.lane, jax.lax.Precision.HIGHEST
        flat, owner = rows.reshape(-1, rows.shape[-1]), jnp.repeat(lane, 2)
        gram = jnp.matmul(flat, flat.T, precision=exact) * (owner[:, None] == owner[None, :]).astype(flat.dtype)
        gram = gram + 1e-6 * jnp.eye(gram.shape[0])
        multipliers = jnp.linalg.solve(gram, -point.terms.value.reshape(-1))
        moved = jax.ops.segment_sum(multipliers[:, None] * flat, owner, num_segments=lanes.count)
        if limits.radius is not None:
            length = jnp.sqrt(jnp.sum(jnp.square(moved), 1) + 1e-12)
            moved = moved * jnp.minimum(1.0, limits.radius / length)[:, None]
        assert point.coordinates is not None
        return Proposal(coordinates=point.coordinates + moved), ()

    def blank(self, lanes: Lanes) -> None: ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientDescent:
    """A step of the rate's length straight down the gradient: no sign of it that rounding could turn."""

    per_handle = False

    def arrays(self, **about: Any) -> dict[str, np.ndarray]:
        return {}

    def init(self, lanes: Lanes, coordinates: jax.Array) -> tuple[()]:
        return ()

    def pull(self, lanes: Lanes, terms: Terms, pull: Pull) -> jax.Array:
        handles = None if terms.handles is None else jnp.zeros_like(terms.handles)
        return pull(Terms(loss=jnp.ones_like(terms.loss), handles=handles))

    def propose(self, lanes: Lanes, point: Point, limits: Limits, memory: Any) -> tuple[Proposal, Any]:
        length = jnp.sqrt(jnp.sum(jnp.square(point.pulled), 1) + 1e-20)
        assert point.coordinates is not None
        assert limits.rate is not None
        return Proposal(coordinates=point.coordinates - (limits.rate / length)[:, None] * point.pulled), ()

    def blank(self, lanes: Lanes) -> None: ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrustRegion:
    """Accepts what lowers the loss and doubles the radius, goes back and quarters it otherwise."""

    keeps = True
    radius: float = 16.0

    def init(self, lanes: Lanes) -> dict[str, jax.Array]:
        return {
            "radius": jnp.broadcast_to(jnp.asarray(self.radius, jnp.float32), (lanes.count,)),
            "rejected": jnp.zeros(lanes.count, jnp.int32),
        }

    def judge(self, lanes: Lanes, state: DragState, trial: Point) -> tuple[jax.Array, Any]:
        accepts = (state.iteration == 0) | (trial.loss < state.accepted.loss)
        size = state.size
        radius = jnp.where(state.iteration == 0, size["radius"], size["radius"] * jnp.where(accepts, 2.0, 0.25))
        return accepts, {"radius": radius, "rejected": size["rejected"] + (~accepts).astype(jnp.int32)}

    def limits(self, lanes: Lanes, point: Point, size: Any, iteration: jax.Array) -> Limits:
        return Limits(radius=size["radius"])
