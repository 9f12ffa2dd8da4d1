"""The plot of `lanes_speed`: edits a second against the lanes of a batch, with the baseline as a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = ("#1f5fa8", "#d1662a", "#4f8a3d")


def plot_lanes(
    path: Path, series: Mapping[str, Sequence[tuple[int, float]]], baseline: float | None, *, title: str
) -> None:
    """Write the picture.

    Args:
      path: a PNG, by its ending.
      series: {name: [(lanes, edits a second), …]}.
      baseline: edits a second of the baseline, one edit after the other; None: not measured.
      title: what was measured, and where.
    """
    figure = Figure(figsize=(7, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)  # draws without a display, whatever the user's own backend is
    axes = figure.add_subplot()
    for (name, points), colour in zip(series.items(), COLOURS, strict=False):
        lanes, speeds = zip(*points, strict=True)
        axes.plot(lanes, speeds, "o-", color=colour, label=f"this implementation, {name}")
    if baseline is not None:
        axes.axhline(baseline, color="#555555", linestyle="--", label="baseline: published loop, one edit at a time")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = sorted({lanes for points in series.values() for lanes, _ in points})
    axes.set_xticks(ticks, [str(lanes) for lanes in ticks])
    axes.set_xlabel("lanes of the batch")
    axes.set_ylabel("edits a second")
    axes.set_title(title, fontsize=10)
    axes.grid(visible=True, which="both", color="#dddddd", linewidth=0.6)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
