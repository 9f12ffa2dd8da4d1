"""Who takes part: the published loop in PyTorch, and ours by one of its engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from . import ours
from .case import Case, Run, Subject
from .flops import Work, published_work

AUTO = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestant:
    """One side of the comparison.

    Attributes:
      name: as the table shows it.
      torch_device: where the published loop runs; None: this is our side.
      engine: of our side; None: what `drag_one` chooses.
    """

    name: str
    torch_device: str | None = None
    engine: ours.Engine | None = None

    @property
    def is_baseline(self) -> bool:
        return self.torch_device is not None

    def fits(self, case: Case) -> bool:
        """A mask looks at the whole feature map, so no windows serve it."""
        return not (case.masked and self.engine == "window")

    def run(self, subject: Subject, case: Case, iterations: int, warmup: int) -> Run:
        """Warm up and time the case."""
        if self.torch_device is None:
            return ours.run(subject, case, iterations, warmup, self.engine)
        from . import torch_baseline  # PyTorch is not always installed

        return torch_baseline.run(subject, case, iterations, warmup, self.torch_device)

    def work(self, case: Case) -> Work:
        """What one of its iterations computes."""
        if self.is_baseline:
            return published_work(case.config, case.feature_block)
        return ours.work(case, self.engine)


OURS = {
    AUTO: Contestant(name="ours"),
    "whole": Contestant(name="ours, whole", engine="whole"),
    "window": Contestant(name="ours, window", engine="window"),
}
"""Our side, by the names that `--engines` takes."""


def contestants(engines: Sequence[str], torch_device: str | None) -> list[Contestant]:
    """The sides in the order of the table: the baseline first, if it has a device, then ours by engine."""
    baseline = [] if torch_device is None else [Contestant(name="torch", torch_device=torch_device)]
    return [*baseline, *(OURS[engine] for engine in engines)]
