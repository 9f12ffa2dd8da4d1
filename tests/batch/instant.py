"""Batches whose edits take no time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from dragspace_jax.batch import work
from dragspace_jax.drag import BatchStats, DragResult, EditRequest, Outcome
from dragspace_jax.stylegan2 import Latents


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Edits that end at once, with their handles at the targets; after `stop_after` results comes what `stop` does."""

    def ctrl_c() -> None:
        raise KeyboardInterrupt

    control = SimpleNamespace(ran=[], stop_after=None, stop=ctrl_c)

    def ended(edits: Iterable[EditRequest]) -> Iterator[DragResult]:
        for request in edits:
            if len(control.ran) == control.stop_after:
                control.stop()
            control.ran.append(request)
            handles = np.asarray(request.targets_yx)
            start = request.latents
            yield DragResult(
                id=request.id,
                outcome=Outcome.REACHED,
                start=start,
                latents=Latents(ws=start.ws + 1),
                handles_yx=handles,
                targets_yx=handles,
                steps=1,
            )

    class Batch:
        def __init__(self, edits: Iterable[EditRequest]) -> None:
            self.stats = BatchStats(lanes=2, busy=1)
            self._results = ended(edits)

        def __iter__(self) -> Iterator[DragResult]:
            return self._results

    monkeypatch.setattr(work, "drag_many", lambda model, edits, **options: Batch(edits))
    return control
