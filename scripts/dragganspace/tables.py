"""The evaluated cells as tables: means, each contender's best learning rate, and how sure a ratio of steps is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dragspace_jax.arrays import read_arrays
from scripts.dragganspace.cells import Cell
from scripts.dragganspace.figures import FIGURES, figures_file

_RESAMPLES = 2000
_REACHED = 0.05  # a contender's best rate may reach so much less than the rate that reaches most


@dataclasses.dataclass(frozen=True)
class Row:
    """A cell and its figures {name: [E]}, the edits of all models one after the other."""

    cell: Cell
    figures: Mapping[str, np.ndarray]

    def mean(self, name: str) -> float:
        return float(np.nanmean(self.figures[name]))


def read_rows(cells: Iterable[Cell], folders: Sequence[Path]) -> list[Row]:
    """The cells that are evaluated for all models, each once."""
    rows = {}
    for cell in cells:
        files = [figures_file(folder, cell) for folder in folders]
        if cell.key in rows or not all(file.exists() for file in files):
            continue
        parts = []
        for file in files:
            stored = read_arrays(file)
            parts.append({name: stored[name] for name in FIGURES})
        rows[cell.key] = Row(cell, {name: np.concatenate([part[name] for part in parts]) for name in FIGURES})
    return list(rows.values())


def best_rates(rows: Iterable[Row], error: float) -> list[Row]:
    """Of each contender the learning rate of the fewest steps, among those that bring the landmark as near.

    Eligible are the rates that reach about as many targets as any (5 % less at most) and whose mean landmark distance
    is within `error` px, the predictor's own, of the contender's least.
    """
    contenders: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        contenders.setdefault(row.cell.contender, []).append(row)
    chosen = []
    for group in contenders.values():
        reached = max(row.mean("reached") for row in group)
        able = [row for row in group if row.mean("reached") >= reached - _REACHED]
        nearest = min(row.mean("landmark") for row in able)
        near = [row for row in able if row.mean("landmark") <= nearest + error]
        chosen.append(min(near, key=lambda row: row.mean("steps")))
    return chosen


def steps_ratio(row: Row, base: Row) -> tuple[float, float, float]:
    """Mean steps over the base's: the ratio, and its 95 % interval over pairs of the same edit (bootstrap)."""
    mine, others = row.figures["steps"], base.figures["steps"]
    drawn = np.random.default_rng(0).integers(0, len(mine), (_RESAMPLES, len(mine)))
    ratios = mine[drawn].mean(1) / others[drawn].mean(1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(mine.mean() / others.mean()), float(low), float(high)


def difference(row: Row, base: Row, name: str) -> tuple[float, float]:
    """Mean difference of a figure to the base's over pairs, and half of its 95 % interval."""
    gaps = row.figures[name] - base.figures[name]
    gaps = gaps[np.isfinite(gaps)]
    return float(gaps.mean()), float(1.96 * gaps.std(ddof=1) / np.sqrt(len(gaps)))


def name_of(cell: Cell) -> str:
    """How tables call a contender; px are those of the 128 px image."""
    space = {"full": "W+", "pca": f"PCA {cell.components}", "displacement": f"displacements {cell.components}"}[
        cell.space
    ]
    whitened = {0.0: "", 1.0: ", whitened"}.get(cell.power, f", σ^{cell.power:g}")
    extra = [cell.solver] if cell.solver != "adam" else []
    extra += [f"momentum {cell.momentum:g}"] if cell.momentum != 0.9 else []
    extra += [f"slow below {cell.slow_down:g} px"] if cell.slow_down else []
    extra += [f"pace {cell.pace:g} px"] if cell.pace else []
    extra += [f"window {cell.radius:g} px"] if cell.radius != 3.0 else []
    extra += [f"halved every {cell.half_life:g}"] if cell.half_life else []
    extra += [f"block {cell.block}"] if cell.block != 64 else []
    return space + (whitened if cell.components else "") + (f" ({', '.join(extra)})" if extra else "")


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def figures_of(row: Row) -> list[str]:
    """The columns after the name: rate, reached, steps, landmark, SSIM and PSNR, Mahalanobis."""
    return [
        f"{row.cell.rate:g}",
        f"{100 * row.mean('reached'):.0f} %",
        f"{row.mean('steps'):.1f}",
        f"{row.mean('landmark'):.2f}",
        f"{row.mean('ssim_inside'):.3f}",
        f"{row.mean('ssim_outside'):.4f}",
        f"{row.mean('psnr_inside'):.1f}",
        f"{row.mean('psnr_outside'):.1f}",
        f"{row.mean('mahalanobis'):.2f}",
    ]


HEADER = (
    "rate", "reached", "steps", "landmark, px", "SSIM in", "SSIM out", "PSNR in, dB", "PSNR out, dB", "Mahalanobis",
)  # fmt: skip
