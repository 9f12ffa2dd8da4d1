"""How a batch stands while it runs, and what is kept of that at its end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from dragspace_jax.drag import BatchStats, Outcome


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchState:
    """How a batch stands.

    Attributes:
      settled, total: lines that need nothing more, of all lines.
      dragged, steps: edits that ended in this run, and the iterations of all of them together.
      seconds: of this run so far, compiling excluded.
      compile_seconds: what compiling took.
      stats: of the lanes.
      workers: among how many workers they are; 0: this process alone.
    """

    settled: int
    total: int
    dragged: int
    steps: int
    seconds: float
    compile_seconds: float
    stats: BatchStats
    workers: int = 0

    @property
    def edits_per_second(self) -> float:
        """Edits that ended, by the seconds without compiling."""
        return self.dragged / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """What the rest may take; nan before the first edit has ended.

        The iterations that are still to come, if edits take as many as those that ended, at the pace of all lanes so
        far: unlike edits a second, it knows of what half-done edits have behind them.
        """
        done = self.stats.lane_steps
        if not self.dragged or not done or self.seconds <= 0:
            return math.nan
        to_come = self.steps / self.dragged * (self.total - self.settled) - (done - self.steps)
        return max(to_come, 0.0) * self.seconds / done


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchSummary:
    """What a batch came to; `record` is what summary.json holds.

    Attributes:
      outcomes: how many edits ended how, those of earlier runs and invalid lines included.
      flagged: how many of them are not to be trusted unseen, by their quality.
      steps: iterations of all of them together.
      interrupted: whether the user ended it.
      state: at the end of this run.
      earlier: runs, seconds and compile_seconds of the runs before.
      resolved: what it ran with: recipe, space, settings, model, versions.
    """

    outcomes: Mapping[str, int]
    flagged: int
    steps: int
    interrupted: bool
    state: BatchState
    earlier: Mapping[str, Any]
    resolved: Mapping[str, Any]

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        state, stats = self.state, self.state.stats
        times = {"runs": 1, "seconds": state.seconds, "compile_seconds": state.compile_seconds}
        edits = sum(self.outcomes.values()) - self.outcomes.get(Outcome.INVALID.label, 0)
        return {
            "edits": state.total,
            "outcomes": dict(self.outcomes),
            "flagged": self.flagged,
            "interrupted": self.interrupted,
            "whole_job": {
                "edits": edits,
                "steps": self.steps,
                **{key: round(value + self.earlier.get(key, 0), 3) for key, value in times.items()},
            },
            "this_run": {
                "edits": state.dragged,
                "steps": state.steps,
                "seconds": round(state.seconds, 3),
                "compile_seconds": round(state.compile_seconds, 3),
                "edits_per_second": round(state.edits_per_second, 4),
                "lanes": stats.most_lanes,
                "lane_steps": stats.lane_steps,
                "occupancy": round(stats.occupancy, 4),
                "handle_occupancy": round(stats.handle_occupancy, 4),
                **({"workers": state.workers} if state.workers else {}),
            },
            **self.resolved,
        }
