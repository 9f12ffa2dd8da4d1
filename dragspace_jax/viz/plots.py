"""Plots of numbers: arrays to pictures, by matplotlib without a display."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike

_BAR, _LINE, _INK = "#266ceb", "#e41a1c", "#555555"
_LEVELS = (0.5, 0.9, 0.99)  # shares of the variance whose number of components is worth knowing


def scree_plot(variance: ArrayLike, *, total: float | None = None, title: str = "") -> np.ndarray:
    """How the variance falls, a bar a component on a logarithmic axis, and the share that the first of them hold.

    Args:
      variance: [K], falling.
      total: variance of everything; None: the sum of those given.
      title: a line above.

    Returns:
      The picture, uint8 [H, W, 3].

    Raises:
      ValueError: no components.
    """
    values = np.asarray(variance, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"a scree plot needs variances [K], not {values.shape}")
    shares = np.cumsum(values) / (values.sum() if total is None else total)
    number = np.arange(1, len(values) + 1)
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    bars, line = figure.subplots(1, 2)
    bars.bar(number, values, width=0.8, color=_BAR)
    bars.set_yscale("log")
    bars.set_ylabel("variance")
    line.plot(number, shares, color=_LINE, linewidth=1.8, marker="o" if len(values) <= 32 else None, markersize=3)
    line.set_ylabel("share of the variance, with those before it")
    line.set_ylim(0, 1.06)
    line.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for level in _LEVELS:
        _mark(line, shares, level)
    for axes in (bars, line):
        axes.set_xlabel("component")
        axes.set_xlim(0.4, len(values) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title, fontsize=12)
    return _drawn(figure)


def stacked_bars(counts: ArrayLike, *, bars: Sequence[str], parts: Sequence[str], title: str = "") -> np.ndarray:
    """A bar each of what is counted, of coloured parts.

    Args:
      counts: [B, P].
      bars: B texts below.
      parts: P texts of the legend.
      title: a line above.

    Returns:
      The picture, uint8 [H, W, 3].
    """
    values = np.asarray(counts, np.float64)
    figure = Figure(figsize=(max(6.0, 0.7 * len(bars)), 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    below = np.zeros(len(bars))
    for part, name in enumerate(parts):
        axes.bar(range(len(bars)), values[:, part], bottom=below, label=name, color=f"C{part}", width=0.8)
        below += values[:, part]
    axes.set_xticks(range(len(bars)), bars, rotation=45, ha="right", fontsize=9)
    axes.set_ylabel("channels")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    if title:
        axes.set_title(title, fontsize=12)
    return _drawn(figure)


def _mark(axes: Axes, shares: np.ndarray, level: float) -> None:
    """Say how many components hold a share, if those there are do."""
    reached = np.flatnonzero(shares >= level)
    if not len(reached):
        return
    number = int(reached[0]) + 1
    axes.plot([number, number], [0, shares[number - 1]], color=_INK, linewidth=0.8, linestyle=":")
    axes.plot(number, shares[number - 1], marker="o", markersize=5, color=_LINE)
    axes.annotate(
        f"{level:.0%} in {number}",
        (number, shares[number - 1]),
        xytext=(5, -14),
        textcoords="offset points",
        fontsize=9,
        color=_INK,
    )


def _drawn(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
