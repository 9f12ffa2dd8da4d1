"""What the contestants of `drag_speed` are given and what they give back."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch

from dragspace_jax.stylegan2.config import GeneratorConfig, channel_table
from benchmarks.torch_reference.torch_stylegan2 import Generator

SEED = 0


def config_f(resolution: int) -> GeneratorConfig:
    """StyleGAN2's largest configuration ("config F"): 512 channels up to 64 px, then halved a block."""
    return GeneratorConfig(resolution=resolution, channels=channel_table(resolution, 32768, 512))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One edit of a config-F generator with random weights; one handle, its target out of reach of the timed steps.

    Attributes:
      resolution: side of the image in pixels.
      learning_rate: the published default.
    """

    resolution: int
    learning_rate: float = 1e-3

    @functools.cached_property
    def generator(self) -> Generator:
        """The torch network whose weights both sides use."""
        return Generator(config_f(self.resolution), SEED)

    @functools.cached_property
    def ws0(self) -> np.ndarray:
        """Latents [L, D] to start from."""
        z = torch.as_tensor(np.random.RandomState(SEED).randn(1, 512), dtype=torch.float32)
        return self.generator.ws(z, psi=0.7)[0].numpy()

    @property
    def points_yx(self) -> np.ndarray:
        """[1, 2], near the middle."""
        return np.array([[0.4, 0.45]]) * self.resolution // 1

    @property
    def targets_yx(self) -> np.ndarray:
        """[1, 2], a third of the image away."""
        return np.array([[0.65, 0.65]]) * self.resolution // 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What a contestant did with a case.

    Attributes:
      first_ms: until its first results were there, compilation included.
      iteration_ms: wall time of an iteration, one a measurement, from a fresh start after the warm-up.
      handles_yx: [T, N, 2], each before its iteration's update.
      latents: [T, L, D], each after its iteration's update.
    """

    first_ms: float
    iteration_ms: np.ndarray
    handles_yx: np.ndarray
    latents: np.ndarray

    @property
    def median_ms(self) -> float:
        return float(np.median(self.iteration_ms))
