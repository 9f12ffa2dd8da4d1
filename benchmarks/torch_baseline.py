"""The rival: the published drag loop in PyTorch, eager, as `torch_reference/torch_drag.py` has it.

Every iteration renders the whole image with per-sample weights, resizes the whole feature map to it and walks over the
points. PyTorch's own defaults hold, also where they let a GPU convolve in fewer bits than float32.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from .case import Case, Run, Subject
from .torch_reference.torch_drag import Drag, Settings, Step
from .torch_reference.torch_stylegan2 import Generator
from .torch_reference.transfer import their_generator


def default_device(accelerated: bool) -> str:
    """`cuda` if our side is `accelerated` and PyTorch sees a GPU too, else `cpu`."""
    return "cuda" if accelerated and torch.cuda.is_available() else "cpu"


def transferred(subject: Subject, device: str) -> Generator:
    """The subject's network as the rival's, on a torch device."""
    return their_generator(subject.model).to(device)


def begin(generator: Generator, case: Case, ws0: np.ndarray) -> Drag:
    """A fresh edit of the case."""
    settings = Settings(learning_rate=case.learning_rate, feature_block=case.feature_block)
    return Drag(generator, ws0, case.points_yx, case.targets_yx, case.mask, settings)


def run(subject: Subject, case: Case, iterations: int, warmup: int, device: str = "cpu") -> Run:
    """Warm up on the case, then time each of `iterations` steps of a fresh edit."""
    generator = transferred(subject, device)

    def timed(edit: Drag) -> tuple[Step, float]:
        start = time.perf_counter()
        step = edit.step()  # its results are in host memory, so nothing of it is pending on a device
        return step, 1e3 * (time.perf_counter() - start)

    warm = begin(generator, case, subject.ws0)
    _, first_ms = timed(warm)
    for _ in range(warmup - 1):
        warm.step()
    edit = begin(generator, case, subject.ws0)
    steps, milliseconds = zip(*(timed(edit) for _ in range(iterations)), strict=True)
    return Run(
        first_ms=first_ms,
        iteration_ms=np.array(milliseconds),
        handles_yx=np.stack([step.handles_yx for step in steps]),
        latents=np.stack([step.ws for step in steps]),
    )
