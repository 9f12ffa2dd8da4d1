"""The baseline: the published drag loop in PyTorch, eager, as `torch_reference/torch_drag.py` has it.

Every iteration renders the whole image with per-sample weights, resizes the whole feature map to it and walks over the
points. It runs on any device that PyTorch knows, with PyTorch's own defaults, also where they let a GPU convolve in
fewer bits than float32.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from .case import Case, Run, Sample
from .torch_reference.torch_drag import Drag, Settings, Step
from .torch_reference.torch_stylegan2 import Generator
from .torch_reference.transfer import their_generator


def transferred(sample: Sample, device: str) -> Generator:
    """The sample's network in PyTorch, on a torch device."""
    return their_generator(sample.model).to(device)


def synchronise(device: str) -> None:
    """Wait until all that was asked of a GPU is done."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def begin(generator: Generator, case: Case, ws0: np.ndarray) -> Drag:
    """A fresh edit of the case."""
    settings = Settings(learning_rate=case.learning_rate, feature_block=case.feature_block)
    return Drag(generator, ws0, case.points_yx, case.targets_yx, case.mask, settings)


def run(sample: Sample, case: Case, iterations: int, warmup: int, device: str = "cpu") -> Run:
    """Warm up on the case, then time each of `iterations` steps of a fresh edit."""
    generator = transferred(sample, device)

    def timed(edit: Drag) -> tuple[Step, float]:
        synchronise(device)
        start = time.perf_counter()
        step = edit.step()
        synchronise(device)
        return step, 1e3 * (time.perf_counter() - start)

    warm = begin(generator, case, sample.ws0)
    _, first_ms = timed(warm)
    for _ in range(warmup - 1):
        warm.step()
    edit = begin(generator, case, sample.ws0)
    steps, milliseconds = zip(*(timed(edit) for _ in range(iterations)), strict=True)
    return Run(
        first_ms=first_ms,
        compile_seconds=max(0.0, first_ms - float(np.median(milliseconds))) / 1e3,
        iteration_ms=np.array(milliseconds),
        handles_yx=np.stack([step.handles_yx for step in steps]),
        latents=np.stack([step.ws for step in steps]),
    )
