"""The published drag loop in PyTorch (DragGAN, arXiv 2305.10973, as its published program runs it).

Deliberately naive, since it is also the baseline of the benchmarks: every iteration renders the whole image, resizes
the whole feature map to it and walks over the points one by one. It runs on the device that holds the generator.
Positions are (y, x) in pixels of the image.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .torch_stylegan2 import Generator

Positions = Sequence[tuple[float, float]] | np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What the published loop lets a user choose; lengths in pixels of a 512 px image.

    Attributes:
      space: `w+` moves the first `layers` latents one by one, `w` one vector (layer 0's) that feeds all of them.
      feature_block: resolution of the block whose output is followed.
    """

    space: Literal["w+", "w"] = "w+"
    layers: int = 6
    learning_rate: float = 1e-3
    feature_block: int = 128
    radius_motion: float = 3.0
    radius_track: float = 12.0
    mask_weight: float = 20.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One iteration t: handles_yx [N, 2] before its update, ws [L, D] after it, its loss (nan if it stopped)."""

    handles_yx: np.ndarray
    ws: np.ndarray
    loss: float
    stopped: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trace:
    """All T iterations: handles_yx int [T, N, 2], latents [T, L, D], loss [T], stopped bool [T]."""

    handles_yx: np.ndarray
    latents: np.ndarray
    loss: np.ndarray
    stopped: np.ndarray


class Drag:
    """One edit; `step` runs one iteration.

    Args:
      ws0: latents [L, D] to start from.
      points_yx, targets_yx: [N, 2]; points are rounded to whole pixels.
      mask: [H, W], 1 where the image must stay, or None.
    """

    def __init__(
        self,
        generator: Generator,
        ws0: np.ndarray,
        points_yx: Positions,
        targets_yx: Positions,
        mask: np.ndarray | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.generator, self.settings = generator, settings or Settings()
        self.side = generator.config.resolution
        self.device = next(generator.parameters()).device
        ws = torch.tensor(np.array(ws0, np.float32), device=self.device)
        self.layers = min(self.settings.layers, len(ws))
        moving = ws[: self.layers] if self.settings.space == "w+" else ws[:1]
        self.fixed = ws[self.layers :]
        self.moving = moving.clone().requires_grad_()
        self.optimiser = torch.optim.Adam([self.moving], lr=self.settings.learning_rate, betas=(0.9, 0.999), eps=1e-8)
        self.handles = torch.tensor(np.round(points_yx).astype(np.int64), device=self.device)
        self.targets = torch.tensor(np.array(targets_yx, np.float32), device=self.device)
        self.mask = None if mask is None else torch.tensor(np.array(mask, np.float32), device=self.device)
        self.first_map: Tensor | None = None
        self.references: list[Tensor] = []

    def ws(self) -> Tensor:
        """The current latents [L, D], the graph included."""
        return torch.cat([self.moving.expand(self.layers, -1), self.fixed])

    def step(self) -> Step:
        features = self.generator.synthesis(self.ws()[None]).features[self.settings.feature_block]
        resized = functional.interpolate(features, (self.side, self.side), mode="bilinear", align_corners=False)[0]
        if self.first_map is None:
            self.first_map = resized.detach()
            self.references = [resized[:, y, x].detach() for y, x in self.handles.tolist()]
        for i, reference in enumerate(self.references):
            self.handles[i] = self._tracked(resized.detach(), self.handles[i], reference)
        handles = self.handles.cpu().numpy().copy()
        reached = max(2 / 512 * self.side, 2)
        distances = (self.targets - self.handles).norm(dim=1)
        if bool((distances <= reached).all()):
            return Step(handles_yx=handles, ws=self._host_ws(), loss=math.nan, stopped=True)
        loss = self._loss(resized)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return Step(handles_yx=handles, ws=self._host_ws(), loss=float(loss.detach()), stopped=False)

    def _host_ws(self) -> np.ndarray:
        return self.ws().detach().cpu().numpy()

    def _tracked(self, resized: Tensor, handle: Tensor, reference: Tensor) -> Tensor:
        """The pixel around `handle` whose feature is nearest to `reference`; the first of equals in row order."""
        radius = round(self.settings.radius_track / 512 * self.side)
        top, left = (max(int(p) - radius, 0) for p in handle)
        bottom, right = (min(int(p) + radius + 1, self.side) for p in handle)
        distance = (resized[:, top:bottom, left:right] - reference[:, None, None]).norm(dim=0)
        return (distance == distance.min()).nonzero()[0] + torch.tensor([top, left], device=self.device)

    def _loss(self, resized: Tensor) -> Tensor:
        """Motion supervision summed over the handles, and the mask's term."""
        side = self.side
        radius = max(round(self.settings.radius_motion / 512 * side), 1)
        stretched = torch.linspace(0, side, side, device=self.device)
        loss = torch.zeros((), device=self.device)
        for handle, target in zip(self.handles.float(), self.targets, strict=True):
            away = target - handle
            if away.norm() <= 1:
                continue
            direction = away / (away.norm() + 1e-7)
            near = (stretched[:, None] - handle[0]).square() + (stretched[None, :] - handle[1]).square() < radius**2
            pixels = near.nonzero()
            here = resized[:, pixels[:, 0], pixels[:, 1]].detach()
            loss = loss + (sampled(resized, pixels + direction) - here).abs().mean()
        if self.mask is not None:
            assert self.first_map is not None
            loss = loss + self.settings.mask_weight * (self.mask * (resized - self.first_map)).abs().mean()
        return loss


def sampled(image: Tensor, positions_yx: Tensor) -> Tensor:
    """Bilinear values [C, M] of image [C, H, W] at positions [M, 2] in pixels; what lies outside is zero."""
    size = torch.tensor(image.shape[1:], dtype=torch.float32, device=image.device)
    unit = (positions_yx / (size - 1) * 2 - 1).flip(1)
    return functional.grid_sample(image[None], unit[None, None], align_corners=True)[0, :, 0]


def drag(
    generator: Generator,
    ws0: np.ndarray,
    points_yx: Positions,
    targets_yx: Positions,
    *,
    mask: np.ndarray | None = None,
    settings: Settings | None = None,
    steps: int = 300,
) -> Trace:
    """Run a `Drag` until it stops or has done `steps` iterations (the published loop has no such cap)."""
    edit = Drag(generator, ws0, points_yx, targets_yx, mask, settings)
    done: list[Step] = []
    while len(done) < steps and not (done and done[-1].stopped):
        done.append(edit.step())
    return Trace(
        handles_yx=np.stack([step.handles_yx for step in done]),
        latents=np.stack([step.ws for step in done]),
        loss=np.array([step.loss for step in done]),
        stopped=np.array([step.stopped for step in done]),
    )
