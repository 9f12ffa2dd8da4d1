"""The two sides of a comparison: the baseline, which is the published loop in PyTorch, and this implementation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from . import implementation
from .case import Case, Run, Sample
from .flops import Work, published_work

AUTO = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the comparison.

    Attributes:
      name: as the table shows it.
      torch_device: where the baseline runs; None: this is the implementation.
      engine: of the implementation; None: what `drag_one` chooses.
    """

    name: str
    torch_device: str | None = None
    engine: implementation.Engine | None = None

    @property
    def is_baseline(self) -> bool:
        return self.torch_device is not None

    def fits(self, case: Case) -> bool:
        """A mask looks at the whole feature map, so no windows serve it."""
        return not (case.masked and self.engine == "window")

    def run(self, sample: Sample, case: Case, iterations: int, warmup: int) -> Run:
        """Warm up and time the case."""
        if self.torch_device is None:
            return implementation.run(sample, case, iterations, warmup, self.engine)
        from . import baseline  # PyTorch is not always installed

        return baseline.run(sample, case, iterations, warmup, self.torch_device)

    def work(self, case: Case) -> Work:
        """What one of its iterations computes."""
        if self.is_baseline:
            return published_work(case.config, case.feature_block)
        return implementation.work(case, self.engine)


IMPLEMENTATION = {
    AUTO: Side(name="implementation"),
    "whole": Side(name="implementation, whole", engine="whole"),
    "window": Side(name="implementation, window", engine="window"),
}
"""This implementation, by the names that `--engines` takes."""


def sides(engines: Sequence[str], torch_device: str | None) -> list[Side]:
    """In the order of the table: the baseline first, if it has a device, then the implementation by engine."""
    baseline = [] if torch_device is None else [Side(name="baseline", torch_device=torch_device)]
    return [*baseline, *(IMPLEMENTATION[engine] for engine in engines)]
