"""The study's plots: learning rates, contenders, and the landscape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from scripts.dragganspace.cells import ALL_LAYERS, CAP, LAYERS
from scripts.dragganspace.tables import Row, name_of

_COLOURS = {"full": "#333333", "pca": "#d1495b", "white": "#2e86ab", "displacement": "#3c9d5d"}


def _style(row: Row) -> tuple[str, str]:
    cell = row.cell
    colour = _COLOURS["white" if cell.space == "pca" and cell.power else cell.space]
    return colour, {8: ":", 16: "--"}.get(cell.components, "-")


def plot_rates(rows: Sequence[Row], path: Path) -> None:
    """Reached and steps against the learning rate, a column for each number of layers that there is."""
    shown = [layers for layers in LAYERS if any(row.cell.layers == layers for row in rows)]
    figure, axes = plt.subplots(
        2, len(shown), figsize=(2 + 3 * len(shown), 6), sharey="row", sharex=True, layout="constrained", squeeze=False
    )
    for column, layers in enumerate(shown):
        contenders: dict[tuple[object, ...], list[Row]] = {}
        for row in rows:
            if row.cell.layers == layers:
                contenders.setdefault(row.cell.contender, []).append(row)
        for group in contenders.values():
            group.sort(key=lambda row: row.cell.rate)
            colour, line = _style(group[0])
            rates = [row.cell.rate for row in group]
            name = name_of(group[0].cell)
            axes[0, column].plot(rates, [100 * row.mean("reached") for row in group], line, color=colour, label=name)
            axes[1, column].plot(rates, [row.mean("steps") for row in group], line, color=colour)
        axes[0, column].set_title("all layers" if layers == ALL_LAYERS else f"{layers} layers")
        axes[0, column].set_xscale("log")
        axes[1, column].set_xlabel("learning rate (whitened: in σ)")
        axes[1, column].axhline(CAP, color="0.8", lw=0.8)
    axes[0, 0].set_ylabel("targets reached, %")
    axes[1, 0].set_ylabel(f"mean iterations (at most {CAP})")
    axes[0, 0].legend(fontsize=7)
    _save(figure, path)


def plot_contenders(rows: Sequence[Row], path: Path) -> None:
    """What the steps buy: SSIM outside the region and landmark distance against steps, one point a cell."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    for column, fine in enumerate((False, True)):
        shown = [row for row in rows if row.cell.fine == fine]
        ways = list(dict.fromkeys(row.cell.drive for row in shown))
        for axis, name in ((axes[0, column], "ssim_outside"), (axes[1, column], "landmark")):
            for row in shown:
                filled = {32: 0.4, 64: 0.4, 96: 0.7}.get(row.cell.components, 1.0)
                axis.plot(
                    row.mean("steps"), row.mean(name), "os^Dv"[ways.index(row.cell.drive) % 5],
                    color=_style(row)[0], alpha=filled, label=f"{name_of(row.cell)}, {row.cell.rate:g}",
                )  # fmt: skip
            axis.set_xlabel("mean iterations")
            axis.margins(x=0.1, y=0.1)
        axes[0, column].set_title(f"tolerance {'0.5 px' if fine else '2 px (published)'}")
        axes[0, column].set_ylabel("SSIM to the start, outside the region")
        axes[1, column].set_ylabel("landmark to target, px")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    _save(figure, path)


def plot_landscape(shares: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """How much of the gradient the first components hold, a panel a model."""
    figure, axes = plt.subplots(1, len(shares), figsize=(5.5 * len(shares), 4), sharey=True, layout="constrained")
    for axis, (kind, each) in zip(np.atleast_1d(axes), shares.items(), strict=True):
        for name, colour in (
            ("variance", "0.6"),
            ("PCA", _COLOURS["white"]),
            ("displacements", _COLOURS["displacement"]),
        ):
            if name not in each:
                continue
            label = "variance of W (PCA)" if name == "variance" else f"gradient, {name}"
            axis.plot(np.arange(1, len(each[name]) + 1), 100 * each[name], color=colour, label=label)
        axis.set_xlim(0, 128)
        axis.set_xlabel("components")
        axis.set_title(kind)
        axis.legend()
    np.atleast_1d(axes)[0].set_ylabel("share held, %")
    _save(figure, path)


def plot_planes(planes: Sequence[tuple[str, np.ndarray, np.ndarray]], roads: dict[str, np.ndarray], path: Path) -> None:
    """Planes through the start and two ends, and the mean profile of each way."""
    figure, axes = plt.subplots(1, len(planes) + 1, figsize=(4.4 * (len(planes) + 1), 4), layout="constrained")
    for axis, (title, positions, values) in zip(axes, planes, strict=False):
        drawn = axis.contourf(positions, positions, values, 24, cmap="viridis")
        axis.plot([0, 1], [0, 0], "-", color="white", lw=1)
        axis.plot([0, 0], [0, 1], "-", color="#ff8c69", lw=1)
        axis.plot(0, 0, "o", color="white", ms=5)
        axis.plot(1, 0, "s", color="white", ms=5)
        axis.plot(0, 1, "^", color="#ff8c69", ms=6)
        axis.set(title=title, xlabel="W+ (□ its end)", ylabel="whitened PCA (△ its end)")
        figure.colorbar(drawn, ax=axis)
    for (name, profiles), colour in zip(roads.items(), (_COLOURS["full"], _COLOURS["white"]), strict=True):
        share = np.linspace(0, 1, profiles.shape[1])
        axes[-1].plot(share, profiles.mean(0), color=colour, label=name)
        axes[-1].fill_between(share, *np.percentile(profiles, [25, 75], axis=0), color=colour, alpha=0.15)
    axes[-1].set(title="along the way, all edits", xlabel="share of the way", ylabel="mismatch / at the start")
    axes[-1].legend()
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)
