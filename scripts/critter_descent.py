"""How the embedded networks are trained: Muon for matrices, Adam for the rest, the parameters' average, and stages.

Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024) makes the momentum of a matrix
orthogonal by five Newton-Schulz iterations. Convolutions are matrices [3·3·I, O]. Its steps are scaled to those of Adam
(arXiv 2502.16982, section 2.2), so that one rate serves both.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch

Values = dict[str, torch.Tensor]
AVERAGED = 0.995  # decay of the average, once it has forgotten its beginning
WARM_UP = 0.05  # of a stage, in which the rate rises
LAST = 0.02  # of the highest rate, at the end
_FIRST, _SECOND = 0.9, 0.99  # decays of the moments
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_MUON_RMS = 0.5  # root mean square of a step of Muon at rate 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One rung at `resolution`: so many steps, or as many as `minutes` of training hold, and its highest rate.

    With minutes the rate follows the time that was spent, so that a shared machine ends at the low rate as well; the
    time is kept in the checkpoint.
    """

    resolution: int
    rate: float
    steps: int | None = None
    minutes: float | None = None

    def share(self, step: int, seconds: float) -> float:
        """How much of the stage is over, 0 to 1."""
        return min(1.0, step / self.steps if self.steps else seconds / (60.0 * (self.minutes or 1.0)))

    def rate_at(self, share: float) -> float:
        """The learning rate there: it rises at first and falls by a cosine."""
        return self.rate * min(1.0, 0.02 + share / WARM_UP) * max(LAST, 0.5 + 0.5 * math.cos(math.pi * share))


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The orthogonal matrix near to one, roughly: its singular values between 0.7 and 1.2."""
    first, third, fifth = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = first * x + (third * square + fifth * square @ square) @ x
    return (x.T if tall else x).float()


def is_matrix(name: str, value: torch.Tensor) -> bool:
    """Whether Muon moves it: the 3×3 convolutions and the affine maps, no ToRGB, constant or bias."""
    return value.ndim == 2 or (value.ndim == 4 and value.shape[0] == 3)


class Descent:
    """Parameters by name, their moments and their moving average; changed in place by `step`.

    Args:
      values: the parameters.
      muon: which of them, by name and value, Muon moves; Adam moves the others.
    """

    def __init__(self, values: Values, muon: Callable[[str, torch.Tensor], bool] = is_matrix):
        self.values = {name: value.detach().clone().requires_grad_() for name, value in values.items()}
        self.average = {name: value.detach().clone() for name, value in values.items()}
        self.first = {name: torch.zeros_like(value) for name, value in values.items()}
        self.second = {n: torch.zeros_like(v) for n, v in values.items() if not muon(n, v)}
        self.steps = 0

    def state(self) -> dict[str, Any]:
        """What `restore` takes."""
        values = {name: value.detach() for name, value in self.values.items()}
        moments = {"first": self.first, "second": self.second}
        return {"values": values, "average": self.average, "steps": self.steps, **moments}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.values = {name: value.requires_grad_() for name, value in state["values"].items()}
        self.average, self.first, self.second = state["average"], state["first"], state["second"]
        self.steps = state["steps"]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the values against their gradients, which are cleared."""
        self.steps += 1
        # The average forgets its beginning: it spans at most a tenth of the steps so far.
        decay = min(AVERAGED, 1.0 - 10.0 / (self.steps + 10.0))
        for name, value in self.values.items():
            gradient, value.grad = value.grad, None
            assert gradient is not None
            value.sub_(rate * self._direction(name, gradient))
            self.average[name].lerp_(value, 1.0 - decay)

    def _direction(self, name: str, gradient: torch.Tensor) -> torch.Tensor:
        first = self.first[name].lerp_(gradient, 1.0 - _FIRST)
        if name not in self.second:
            ahead = torch.lerp(gradient, first, _FIRST).reshape(-1, gradient.shape[-1])
            return (_MUON_RMS * math.sqrt(max(ahead.shape)) * orthogonal(ahead)).view_as(gradient)
        second = self.second[name].lerp_(gradient.square(), 1.0 - _SECOND)
        first = first / (1.0 - _FIRST**self.steps)
        return first / ((second / (1.0 - _SECOND**self.steps)).sqrt() + 1e-8)
