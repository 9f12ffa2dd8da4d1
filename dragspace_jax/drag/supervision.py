"""Motion supervision with point tracking and a mask: the objective of DragGAN (arXiv 2305.10973, section 3)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32

from dragspace_jax.drag.masking import mask_loss
from dragspace_jax.drag.method import Terms
from dragspace_jax.drag.motion import motion_loss
from dragspace_jax.drag.progress import progress_of
from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.drag.state import ByHandle, Lanes, Progress, per_lane
from dragspace_jax.drag.tracking import features_at, track
from dragspace_jax.networks import Network, Styles, nearer


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionSupervision:
    """Pull the features around each handle one step towards its target (docs/design.md, facts 3 to 8).

    An edit's `arrays` may hold `mask` [H, W], 1 where the image must stay. It carries the handles' positions, their
    features in the first iteration, and with a mask the whole maps of that iteration.
    """

    def reach(self, settings: DragSettings, side: int) -> int:
        """Around a handle's last position: it is found again in the tracking window, and pulled in its patch there."""
        return settings.pixels(settings.radius_track, side) + settings.pixels(settings.radius_motion, side)

    def init(self, network: Network, lanes: Lanes) -> dict[str, Any]:
        """handles_yx [N, 2], reference [N, C] and with a mask features [B, R, R, C]."""
        handles, size = lanes.handles.start_yx, network.grid.size
        carry: dict[str, Any] = {
            "handles_yx": ByHandle(handles),
            "reference": ByHandle(jnp.zeros((handles.shape[0], network.channels))),
        }
        if "mask" in lanes.arrays:
            carry["features"] = jnp.zeros((lanes.count, size, size, network.channels))
        return carry

    def blank(self, lanes: Lanes) -> Terms:
        """loss [B]."""
        return Terms(loss=jnp.zeros(lanes.count))

    def evaluate(
        self,
        network: Network,
        lanes: Lanes,
        styles: Styles,
        image: Int32[Array, " N"],
        carry: dict[str, Any],
        first: Bool[Array, " B={lanes.count}"],
        expected: Any = None,
    ) -> tuple[Terms, tuple[dict[str, Any], Progress]]:
        """The motion loss, [N] and summed by lane [B], with the mask's term; see `Objective.evaluate`."""
        del expected  # as published: around the last place
        settings, handles, side = lanes.settings, lanes.handles, network.grid.side
        lane, last_yx = handles.lane, carry["handles_yx"].value
        tolerance = jnp.asarray(settings.tolerance)[lane]

        reader = network.features(styles, last_yx, image)
        frozen = jax.tree.map(jax.lax.stop_gradient, reader)
        reference = jnp.where(first[lane][:, None], features_at(frozen, last_yx), carry["reference"].value)
        found_yx = track(frozen, reference, last_yx, settings.pixels(settings.radius_track, side))
        radius = settings.pixels(settings.radius_motion, side)
        # On a CPU the published loop stays what it was to the last bit; the sums of a narrower way back are others.
        near = nearer(network, reader, styles, found_yx, image, radius) if reader.accelerated else reader
        motion = motion_loss(near, found_yx, handles.targets_yx, handles.valid, radius, tolerance)
        loss = per_lane(motion, lane, lanes.count)
        after: dict[str, Any] = {"handles_yx": ByHandle(found_yx), "reference": ByHandle(reference)}
        if "mask" in lanes.arrays:
            start = jnp.where(first[:, None, None, None], frozen.features, carry["features"])
            # No change yet at first; rounding would make one, and the loss has a kink there.
            weight = jnp.where(first, 0.0, settings.mask_weight)
            masked = jax.vmap(lambda *arrays: mask_loss(*arrays, grid=network.grid))
            loss += weight * masked(reader.features, start, lanes.arrays["mask"])
            after["features"] = start
        return Terms(loss=loss, handles=motion), (after, progress_of(lanes, found_yx))
