"""Tables of what lies behind the claims: the length of a step, the noise of the gradient, the number of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scripts.dragganspace.cells import COMPONENTS, LOW_RATES, Cell, as_long, lengthened
from scripts.dragganspace.equal_distance import LEFT
from scripts.dragganspace.tables import Row, difference, markdown, name_of, steps_ratio


def equal_steps(rows: Sequence[Row]) -> str:
    """W+ at low rates, and PCA at the same rates and at those with which Adam's steps are as long."""
    found = {row.cell.key: row for row in rows}
    if any(cell.key not in found for cell in lengthened()):
        return ""
    layers = lengthened()[0].layers
    lines = []
    for rate in LOW_RATES:
        base = found[Cell(space="full", layers=layers, rate=rate).key]
        line = [f"{rate:g}", _arrived(base)]
        for components in COMPONENTS:
            for each in (rate, as_long(rate, components)):
                row = found[Cell(space="pca", layers=layers, components=components, rate=each).key]
                steps, low, high = steps_ratio(row, base)
                line.append(f"{_arrived(row)}, {steps:.2f} ({low:.2f}–{high:.2f})")
        lines.append(line)
    pairs = [(f"PCA {k}", f"PCA {k}, {as_long(1.0, k):g} times the rate") for k in COMPONENTS]
    header = ("rate", "W+", *(name for pair in pairs for name in pair))
    return "\n".join(
        [
            f"## Low rates at equal length of a step: {layers} layers",
            "",
            "Share of targets reached, mean steps, steps / W+'s (95 %). The rate is scaled by √(coordinates of W+ / of "
            "PCA).",
            "",
            markdown(header, lines),
        ]
    )


def noise(rows: Sequence[Row]) -> str:
    """How the gradient turns and where the drag goes, a line a cell that is traced."""
    lines = [
        [
            str(row.cell.layers),
            name_of(row.cell),
            f"{row.cell.rate:g}",
            *(_spread(row.figures[name], digits) for name, digits in (("cosine", 2), ("path", 2))),
            *(f"{row.mean(name):.2f}" for name in ("approach", "scatter")),
            f"{100 * row.mean('away'):.0f} %",
        ]
        for row in rows
    ]
    header = (
        "layers", "space", "rate", "cosine of successive gradients", "path / displacement", "nearer, px an iteration",
        "its standard deviation", "away",
    )  # fmt: skip
    return "\n".join(
        [
            "## How the gradient turns from iteration to iteration",
            "",
            f"Means over the {len(rows[0].figures['cosine'])} drags, and in brackets their quartiles.",
            "",
            markdown(header, lines),
        ]
    )


def equal_distance(rows: Sequence[Row], layers: int) -> str:
    """SSIM by number of layers where the landmark is equally far; differences are to the same space at `layers`."""
    lines = []
    for space in dict.fromkeys((row.cell.space, row.cell.components) for row in rows):
        group: Mapping[int, Row] = {
            row.cell.layers: row for row in rows if (row.cell.space, row.cell.components) == space
        }
        for row in group.values():
            full = next(r for r in rows if r.cell.space == "full" and r.cell.layers == row.cell.layers)
            for left in LEFT:
                name = f"ssim_outside_{left:g}"
                there = np.mean(np.isfinite(row.figures[name]))
                gaps = [
                    "" if base is row else "{:+.4f} ± {:.4f}".format(*difference(row, base, name))
                    for base in (group[layers], full)
                ]
                inside = row.mean(f"ssim_inside_{left:g}")
                lines.append(
                    [
                        name_of(row.cell), str(row.cell.layers), f"{100 * left:g} %", f"{100 * there:.0f} %",
                        f"{inside:.3f}", f"{row.mean(name):.4f}", *gaps,
                    ]
                )  # fmt: skip
    header = (
        "space", "layers", "way left", "drags that came there", "SSIM in", "SSIM out",
        f"SSIM out − at {layers} layers (95 %)", "SSIM out − W+'s (95 %)",
    )  # fmt: skip
    return "\n".join(
        [
            "## SSIM by number of layers, where the landmark in the picture is equally far from its target",
            "",
            f"Of {len(rows[0].figures['cosine'])} drags; differences are over those that came there in both.",
            "",
            markdown(header, lines),
        ]
    )


def _arrived(row: Row) -> str:
    return f"{100 * row.mean('reached'):.0f} %, {row.mean('steps'):.0f}"


def _spread(values: np.ndarray, digits: int) -> str:
    low, high = np.nanpercentile(values, [25, 75])
    return f"{np.nanmean(values):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"
