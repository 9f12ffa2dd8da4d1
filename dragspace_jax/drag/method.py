"""How to drag, cut at three seams: what is wanted (objective), whereto (direction) and how far (step size).

A method is a pytree: what shapes the program is static in its parts, their numbers may differ from lane to lane and
have a leading B inside the loop. A new solver is a new file with a `Direction` or a `StepSize` in it, passed on as
`DragSettings(method=Method(...))`. As in optimistix, descent and search are apart; unlike there, a direction is told
its limits before it solves, so that a trust region costs no second evaluation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Bool, Float32, Int32

from dragspace_jax.drag.settings import DragSettings
from dragspace_jax.drag.state import DragState, Lanes, Point, Progress
from dragspace_jax.networks import Network, Styles
from dragspace_jax.spaces import Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Terms:
    """The differentiable part of an objective.

    Attributes:
      loss: [B], each lane's.
      handles: [N, ...], residuals or terms of each handle, or None; a direction `per_handle` pulls them back.
    """

    loss: jax.Array
    handles: jax.Array | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """How far a direction may go; what a step size does not use is None.

    Attributes:
      rate: [B], learning rate.
      descent: [B], by how much the loss shall fall along the step, were it linear.
      radius: [B], length of the step at most, in the direction's own measure.
      damping: [B], added to what the direction inverts, likewise.
      share: [B], of the step from the accepted point that is taken, from 0 to 1.
      ease: [B], from 1 to 0, how much of what a direction would like beside the motion is still insisted on.
    """

    rate: jax.Array | None = None
    descent: jax.Array | None = None
    radius: jax.Array | None = None
    damping: jax.Array | None = None
    share: jax.Array | None = None
    ease: jax.Array | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """Where a direction wants to go.

    Attributes:
      coordinates: [B, K].
      predicted: what it foresees there (the loss, the handles' motion in a `ByHandle`), for the step size; or None.
    """

    coordinates: jax.Array
    predicted: Any = None


Pull = Callable[[Terms], Float32[Array, "rows K"]]
"""Cotangents of the terms → of the coordinates: [B, K], or of each handle's own copy, [N, K], if `per_handle`."""


@runtime_checkable
class Objective(Protocol):
    """What is wanted of the image."""

    def reach(self, settings: DragSettings, side: int) -> int:
        """How far around a handle's last position it reads features, in pixels."""
        ...

    def init(self, network: Network, lanes: Lanes) -> Any:
        """What it carries from iteration to iteration, before the first: arrays [B, ...], and `ByHandle`s."""
        ...

    def blank(self, lanes: Lanes) -> Terms:
        """Zeros in the shapes of its terms, so that nobody has to trace a network for them."""
        ...

    def evaluate(
        self,
        network: Network,
        lanes: Lanes,
        styles: Styles,
        image: Int32[Array, " N"],
        carry: Any,
        first: Bool[Array, " B"],
        expected: Any = None,
    ) -> tuple[Terms, tuple[Any, Progress]]:
        """The terms at some styles; differentiated by them.

        Args:
          network: made ready.
          lanes: what the edits keep constant.
          styles: of B images, or of N where every handle has a copy of its own.
          image: int32 [N], which of them each handle is on.
          carry: from the iteration before.
          first: bool [B], lanes in their first iteration.
          expected: what the direction foresaw, `Proposal.predicted`, if the step size keeps it; nothing at first.

        Returns:
          The terms, and beside them the carry and the progress.
        """
        ...


@runtime_checkable
class Direction(Protocol):
    """Where to go from a point."""

    @property
    def per_handle(self) -> bool:
        """Every handle reads its own copy of its lane's coordinates, so that one pull gives each its row (static).

        N handles then cost N and not N² pulls. What handles could share, the lower blocks, is computed for each.
        """
        ...

    def arrays(
        self,
        *,
        model: Any,
        space: Space,
        latents: Any,
        handles_yx: Float32[np.ndarray, "n 2"],
        targets_yx: Float32[np.ndarray, "n 2"],
        region: Bool[np.ndarray, "H W"] | None,
        settings: DragSettings,
    ) -> dict[str, np.ndarray]:
        """What it needs of an edit beside its points, made once on the host for the lanes' `arrays`.

        Args:
          model: what is edited.
          space: the coordinates it moves in.
          latents: where it starts.
          handles_yx, targets_yx: the edit's, pixels.
          region: where the image may change; None: nobody said.
          settings: resolved.
        """
        ...

    def init(self, lanes: Lanes, coordinates: Float32[Array, "B K"]) -> Any:
        """Its memory before the first iteration, arrays [B, ...] and `ByHandle`s."""
        ...

    def pull(self, lanes: Lanes, terms: Terms, pull: Pull) -> Any:
        """What it needs of the terms' derivatives, arrays [B, ...] and `ByHandle`s."""
        ...

    def propose(self, lanes: Lanes, point: Point, limits: Limits, memory: Any) -> tuple[Proposal, Any]:
        """The next candidate from a point, within limits, and the memory after it."""
        ...

    def blank(self, lanes: Lanes) -> Any:
        """Zeros in the shapes of what it foresees, `Proposal.predicted`; asked for if the step size keeps points."""
        ...


@runtime_checkable
class StepSize(Protocol):
    """How far to go, and whether to go back."""

    @property
    def keeps(self) -> bool:
        """Whether it may go back, so that the loop must keep the last accepted point whole (static)."""
        ...

    def init(self, lanes: Lanes) -> Any:
        """Its state before the first iteration, arrays [B, ...]."""
        ...

    def judge(self, lanes: Lanes, state: DragState, trial: Point) -> tuple[Bool[Array, " B"], Any]:
        """Whether to accept the trial, bool [B] (a lane's first one always is), and its state after that."""
        ...

    def limits(self, lanes: Lanes, point: Point, size: Any, iteration: Int32[Array, " B"]) -> Limits:
        """How far the direction may go from the accepted point; iteration int32 [B], iterations done before."""
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """An objective, a direction and a step size. A pytree."""

    objective: Objective
    direction: Direction
    size: StepSize
