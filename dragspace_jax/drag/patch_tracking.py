"""Handles followed by the patch around them, and their motion as a function of the coordinates.

The objective of a least-change drag: where a handle is, to a fraction of a pixel, and how it moves with the latents.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32

from dragspace_jax.drag.method import Terms
from dragspace_jax.drag.progress import progress_of
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.drag.state import ByHandle, Lanes, Progress, per_lane
from dragspace_jax.networks import Network, PatchReader, Styles, nearer

_HIGHEST = jax.lax.Precision.HIGHEST
_REFINEMENTS = 4
_AT_RIM = 0.25  # features
_FLAT = 1e-3  # of the trace of GᵀG, added to it: a patch that is flat in a direction stays where it is


class Tracked(NamedTuple):
    """Patches found again.

    Attributes:
      places: [N, 2], pixels.
      at_rim: bool [N], found where the window ends and not the image.
    """

    places: jax.Array
    at_rim: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchTracking:
    """p(c), the place where the features around a handle are most like those around its start.

    p minimises Σₒ ‖F(p + o; c) − F_start(p₀ + o)‖² over a grid of offsets o: the nearest neighbour among the places of
    the tracking window that lie a feature apart, then Gauss–Newton (Lucas and Kanade 1981). The window lies where the
    handle is expected, so it need only be as large as a step is foreseen badly. The terms of the handles are p [N, 2],
    with dp/dc = −(GᵀG)⁻¹ Gᵀ ∂F/∂c, G being the patch's gradient by the place: exact where the residual is zero.

    Attributes:
      arm: offsets on each side of the handle (static).
    """

    arm: int = dataclasses.field(default=2, metadata={"static": True})

    def reach(self, settings: DragSettings, side: int) -> int:
        """Around where a handle is expected: the tracking window, a patch at its rim and its slope."""
        block = settings.feature_block
        assert block is not None
        spacing = max(1, side // block)
        window = max(1, settings.pixels(settings.radius_track, side) // spacing)
        return (window + self.arm) * spacing + math.ceil(spacing / 2)

    def init(self, network: Network, lanes: Lanes) -> dict[str, Any]:
        """handles_yx [N, 2], reference [N, P, P, C] and residual [N]."""
        handles, count = lanes.handles.start_yx, 2 * self.arm + 1
        return {
            "handles_yx": ByHandle(handles),
            "reference": ByHandle(jnp.zeros((handles.shape[0], count, count, network.channels))),
            "residual": ByHandle(jnp.zeros(handles.shape[0])),
        }

    def blank(self, lanes: Lanes) -> Terms:
        """loss [B] and handles [N, 2]."""
        return Terms(loss=jnp.zeros(lanes.count), handles=jnp.zeros_like(lanes.handles.start_yx))

    def evaluate(
        self,
        network: Network,
        lanes: Lanes,
        styles: Styles,
        image: Int32[Array, " N"],
        carry: dict[str, Any],
        first: Bool[Array, " B={lanes.count}"],
        expected: ByHandle | None = None,
    ) -> tuple[Terms, tuple[dict[str, Any], Progress]]:
        """The handles' places; see `Objective.evaluate`."""
        lane, last_yx = lanes.handles.lane, carry["handles_yx"].value
        started = first[lane]
        around_yx = last_yx if expected is None else jnp.where(started[:, None], last_yx, expected.value)
        around_yx = jnp.clip(around_yx, 0.0, network.grid.side - 1.0)
        reader = network.features(styles, around_yx, image)
        frozen = jax.tree.map(jax.lax.stop_gradient, reader)
        here = self.patch(frozen, last_yx)
        reference = jnp.where(started[:, None, None, None], here, carry["reference"].value)
        radius = lanes.settings.pixels(lanes.settings.radius_track, network.grid.side)
        tracked = self.track(frozen, reference, around_yx, radius)
        found = jax.lax.stop_gradient(jnp.where(started[:, None], last_yx, tracked.places))
        patch = self.patch(frozen, found)
        gradient = _gradient(lambda p: self.patch(frozen, p), found, 1 / frozen.grid.scale)
        # Derivatives are wanted of this patch alone, and the way back to it is a small part of the window's.
        around = self.arm * self._spacing(reader) + 1
        change = self.patch(nearer(network, reader, styles, found, image, around), found) - patch
        places = found - _solved(gradient, change)
        residual = self.residual(patch, reference)
        after = {
            "handles_yx": ByHandle(found),
            "reference": ByHandle(reference),
            "residual": ByHandle(residual),
        }
        progress = progress_of(lanes, found)
        # A handle at the rim of its window may lie beyond: a step size then goes back, and half a step is foreseen
        # better.
        lost = per_lane((tracked.at_rim & ~started & lanes.handles.valid).astype(jnp.int32), lane, lanes.count) > 0
        progress = dataclasses.replace(progress, left=jnp.where(lost, jnp.inf, progress.left))
        return Terms(loss=per_lane(residual, lane, lanes.count), handles=places), (after, progress)

    def _spacing(self, reader: PatchReader) -> int:
        return max(1, round(1 / reader.grid.scale))

    def patch(self, reader: PatchReader, places: Float32[Array, "N 2"]) -> Float32[Array, "N P P C"]:
        """[N, P, P, C] around places [N, 2]."""
        spacing = self._spacing(reader)
        return reader.sampled(places - float(self.arm * spacing), count=2 * self.arm + 1, spacing=spacing)

    def residual(self, patch: Float32[Array, "N P P C"], reference: Float32[Array, "N P P C"]) -> Float32[Array, " N"]:
        """Squared differences of patches over the spread of the references."""
        return jnp.sum(jnp.square(patch - reference), (1, 2, 3)) / _spread(reference)

    def track(
        self, reader: PatchReader, reference: Float32[Array, "N P P C"], around_yx: Float32[Array, "N 2"], radius: int
    ) -> Tracked:
        """Where within `radius` pixels on each axis the patches are most like the references."""
        spacing = self._spacing(reader)
        steps = max(1, radius // spacing)
        reach = float(steps * spacing)
        low, high = jnp.maximum(around_yx - reach, 0.0), jnp.minimum(around_yx + reach, reader.side - 1.0)
        nearest = self._nearest(reader, reference, around_yx, steps)
        places = self._refined(reader, reference, nearest, (low, high))
        return Tracked(places=places, at_rim=jnp.any(jnp.abs(places - around_yx) > reach - _AT_RIM * spacing, axis=1))

    def _nearest(
        self, reader: PatchReader, reference: Float32[Array, "N P P C"], around_yx: Float32[Array, "N 2"], steps: int
    ) -> Float32[Array, "N 2"]:
        """Of the places that lie features apart, `steps` on each side."""
        spacing, window, count = self._spacing(reader), 2 * steps + 1, 2 * self.arm + 1
        first = around_yx - float((steps + self.arm) * spacing)
        features = reader.sampled(first, count=window + count - 1, spacing=spacing)
        total = jnp.zeros((features.shape[0], window, window))
        for y in range(count):
            for x in range(count):
                apart = features[:, y : y + window, x : x + window] - reference[:, y, None, x, None]
                total += jnp.sum(jnp.square(apart), -1)
        offset = spacing * jnp.arange(-steps, steps + 1, dtype=jnp.float32)
        places = [c[:, None] + offset[None] for c in around_yx.T]
        inside = [(axis >= 0) & (axis <= reader.side - 1) for axis in places]
        total = jnp.where(inside[0][:, :, None] & inside[1][:, None, :], total, jnp.inf)
        best = jnp.argmin(total.reshape(total.shape[0], -1), 1)
        return around_yx + jnp.stack([offset[best // window], offset[best % window]], 1)

    def _refined(
        self,
        reader: PatchReader,
        reference: Float32[Array, "N P P C"],
        places: Float32[Array, "N 2"],
        bounds: tuple[Float32[Array, "N 2"], Float32[Array, "N 2"]],
    ) -> Float32[Array, "N 2"]:
        """Gauss–Newton, no farther than a feature and within bounds; what comes out worse stays where it was."""
        pitch = float(self._spacing(reader))
        low, high = jnp.maximum(places - pitch, bounds[0]), jnp.minimum(places + pitch, bounds[1])

        def error(p: Float32[Array, "N 2"]) -> Float32[Array, " N"]:
            return jnp.sum(jnp.square(self.patch(reader, p) - reference), (1, 2, 3))

        def nearer(_: jax.Array, refined: Float32[Array, "N 2"]) -> Float32[Array, "N 2"]:
            gradient = _gradient(lambda p: self.patch(reader, p), refined, 1 / reader.grid.scale)
            move = _solved(gradient, self.patch(reader, refined) - reference)
            return jnp.clip(refined - move, low, high)

        refined = jax.lax.fori_loop(0, _REFINEMENTS, nearer, places)
        return jnp.where((error(refined) <= error(places))[:, None], refined, places)


def _gradient(
    patch: Callable[[jax.Array], jax.Array], places: Float32[Array, "N 2"], pitch: float
) -> Float32[Array, "N M 2"]:
    """[N, m, 2]: how the patches [N, …] at places [N, 2] change with them, by differences over a `pitch` of pixels.

    The slope of linear interpolation jumps at every position of the map; over a pitch it is a line between the jumps.
    """
    columns = []
    for axis in ((0.5 * pitch, 0.0), (0.0, 0.5 * pitch)):
        step = jnp.asarray(axis, jnp.float32)[None]
        columns.append((patch(places + step) - patch(places - step)).reshape(places.shape[0], -1) / pitch)
    return jnp.stack(columns, -1)


def _solved(gradient: Float32[Array, "N M 2"], change: Float32[Array, "N ..."]) -> Float32[Array, "N 2"]:
    """(GᵀG)⁻¹ Gᵀ change: G [N, m, 2], change [N, …] → [N, 2]; differentiable by the change."""
    normal = jnp.einsum("nmi,nmj->nij", gradient, gradient, precision=_HIGHEST)
    right = jnp.einsum("nmi,nm->ni", gradient, change.reshape(change.shape[0], -1), precision=_HIGHEST)
    added = _FLAT * jnp.trace(normal, axis1=1, axis2=2) + 1e-12
    a, b, d = normal[:, 0, 0] + added, normal[:, 0, 1], normal[:, 1, 1] + added
    determinant = a * d - b * b
    return jnp.stack([d * right[:, 0] - b * right[:, 1], a * right[:, 1] - b * right[:, 0]], 1) / determinant[:, None]


def _spread(reference: Float32[Array, "N P P C"]) -> Float32[Array, " N"]:
    """How much a patch [N, P, P, C] varies: [N]."""
    return jnp.sum(jnp.square(reference - jnp.mean(reference, (1, 2), keepdims=True)), (1, 2, 3)) + 1e-12
