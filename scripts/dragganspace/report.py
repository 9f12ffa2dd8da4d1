"""The report: tables of Markdown, a table of all cells for other programs, and the plots of both."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from dragspace_jax.spaces import default_layers
from scripts.dragganspace.cells import (
    ALL_LAYERS,
    COMPONENTS,
    LAYERS,
    LOW_RATES,
    Cell,
    confirmation,
    grid,
    lengthened,
    paces,
    rivals,
    schedules,
    traced,
)
from scripts.dragganspace.explanations import equal_distance, equal_steps, noise
from scripts.dragganspace.figures import FIGURES
from scripts.dragganspace.plots import plot_contenders, plot_rates
from scripts.dragganspace.tables import (
    HEADER,
    Row,
    best_rates,
    difference,
    figures_of,
    markdown,
    name_of,
    read_rows,
    steps_ratio,
)
from scripts.dragganspace.traces import read_traces


def write_report(
    folders: Sequence[Path], fresh: Sequence[Path], error: float, pace: dict[str, float], docs: Path
) -> None:
    """Write tables.md, cells.csv and the plots of what is evaluated.

    Args:
      folders: of the models' cells.
      fresh: of the confirmation's cells.
      error: the predictor's own, px: no difference below it counts.
      pace: seconds a step by contender's space, relative to each other; may be empty.
      docs: the folder to write to.
    """
    docs.mkdir(parents=True, exist_ok=True)
    gridded, beyond = read_rows(grid(), folders), read_rows([*rivals(), *schedules(), *paces()], folders)
    claims, confirmed = [row for row in gridded if row.cell.layers in held(gridded)], read_rows(confirmation(), fresh)
    parts = [_claims(claims, error, pace), _low_rates(claims)] if claims else []
    parts += _explained(folders, error, pace)
    parts += filter(None, [_confirmed(confirmed, pace, fine) for fine in (False, True)])
    parts += filter(None, [_beyond(beyond, error, fine) for fine in (False, True)])
    (docs / "tables.md").write_text("\n".join(["# Tables of the DragGANSpace study", "", *parts]))
    every = {row.cell.key: row for row in [*gridded, *beyond, *read_rows(lengthened(), folders)]}
    _write_csv(docs / "cells.csv", list(every.values()))
    if claims:
        plot_rates(claims, docs / "rates.png")
    if confirmed:
        plot_contenders(confirmed, docs / "contenders.png")


def held(rows: Sequence[Row]) -> list[int]:
    """The numbers of layers at which all of the grid is evaluated; only there is a best rate the best of all."""
    found = {row.cell.key for row in rows}
    return [n for n in LAYERS if all(cell.key in found for cell in grid() if cell.layers == n)]


def space_key(cell: Cell) -> str:
    """What the pace of a step depends on."""
    window = f"-track{cell.radius:g}" if cell.radius != 3.0 else ""
    block = f"-block{cell.block}" if cell.block != 64 else ""  # as in the cell's own key
    return f"{cell.space}{cell.components or ''}-n{cell.layers}-{cell.solver}{window}{block}"


def _claims(rows: Sequence[Row], error: float, pace: dict[str, float]) -> str:
    return "\n".join(
        [
            "## The claims: each space at its own best learning rate, published tolerance, Adam",
            "",
            f"Rates of whitened coordinates are in standard deviations.{_left_out(rows)}",
            "",
            _at_their_best(rows, error, pace),
        ]
    )


def _at_their_best(rows: Sequence[Row], error: float, pace: dict[str, float]) -> str:
    """Each contender at the best of the rates that there are, against W+ with as many layers."""
    lines = []
    best = best_rates(rows, error)
    for layers in LAYERS:
        here = [row for row in best if row.cell.layers == layers]
        base = next((row for row in here if row.cell.space == "full"), None)
        if base is None:
            continue
        for row in here:
            steps, low, high = steps_ratio(row, base)
            mine, others = pace.get(space_key(row.cell)), pace.get(space_key(base.cell))
            seconds = f"{steps * mine / others:.2f}" if mine and others else "–"
            similar, within = difference(row, base, "ssim_outside")
            lines.append(
                [
                    _layers(layers),
                    name_of(row.cell),
                    *figures_of(row),
                    f"{steps:.2f} ({low:.2f}–{high:.2f})",
                    seconds,
                    "" if row is base else f"{similar:+.4f} ± {within:.4f}",
                ]
            )
    header = ("layers", "space", *HEADER, "steps / W+'s (95 %)", "time / W+'s", "SSIM out − W+'s (95 %)")
    return markdown(header, lines)


def _left_out(rows: Sequence[Row]) -> str:
    missing = [_layers(n) for n in LAYERS if n not in held(rows)]
    return (
        f" Of the grid's numbers of layers these have not been run or not wholly: {', '.join(missing)}."
        if missing
        else ""
    )


def _layers(number: int) -> str:
    return "all" if number == ALL_LAYERS else str(number)


def _low_rates(rows: Sequence[Row]) -> str:
    """Share reached at every learning rate, at the published number of layers."""
    parts = ["## Which learning rates arrive (share of targets reached, mean steps), by layers", ""]
    for power, title in ((0.0, "Coordinates as they lie in W"), (1.0, "Whitened coordinates, rates in σ")):
        kept = [r for r in rows if r.cell.power == power and (power == 0.0 or r.cell.space == "pca")]
        rates = sorted({row.cell.rate for row in kept})
        lines = []
        for layers in LAYERS:
            for components in (0, *COMPONENTS):
                found = {r.cell.rate: r for r in kept if (r.cell.layers, r.cell.components) == (layers, components)}
                if found:
                    shown = [
                        f"{100 * found[rate].mean('reached'):.0f} %, {found[rate].mean('steps'):.0f}"
                        if rate in found
                        else "–"
                        for rate in rates
                    ]
                    lines.append(
                        [
                            _layers(layers),
                            f"PCA {components}" if components else "W+",
                            *shown,
                        ]
                    )
        parts += [f"{title}:", "", markdown(("layers", "space", *(f"{rate:g}" for rate in rates)), lines)]
    return "\n".join(parts)


def _explained(folders: Sequence[Path], error: float, pace: dict[str, float]) -> list[str]:
    traces = read_traces(traced(), folders)
    low = [row for row in traces if row.cell.rate == LOW_RATES[0]]
    good = [row for row in traces if row.cell.rate != LOW_RATES[0]]
    low_rates = read_rows(lengthened(), folders)
    parts = []
    if len(low_rates) == len({cell.key for cell in lengthened()}):
        best = "Each space at the best of these rates, those of the two columns of a space together:"
        parts += [equal_steps(low_rates), best, "", _at_their_best(low_rates, error, pace)]
    if len(traces) == len(traced()):
        parts += [noise([*low, *good]), equal_distance(good, default_layers(ALL_LAYERS))]
    return parts


def _beyond(rows: Sequence[Row], error: float, fine: bool) -> str:
    """Empty as long as some of the rivals are not evaluated: a best rate is the best of all."""
    found = {row.cell.key for row in rows}
    if any(cell.key not in found for cell in rivals() if cell.fine == fine):
        return ""
    best = best_rates([row for row in rows if row.cell.fine == fine], error)
    base = next(row for row in best if name_of(row.cell) == "W+")
    lines = []
    for row in sorted(best, key=lambda row: row.mean("steps")):
        steps, low, high = steps_ratio(row, base)
        gaps = [difference(row, base, name) for name in ("landmark", "ssim_outside", "ssim_inside")]
        lines.append(
            [
                name_of(row.cell),
                *figures_of(row),
                f"{steps:.2f} ({low:.2f}–{high:.2f})",
                *(f"{mean:+.3f} ± {half:.3f}" for mean, half in gaps),
            ]
        )
    tolerance = "0.5 px" if fine else "the published one, 2 px"
    header = ("space", *HEADER, "steps / W+'s (95 %)", "Δ landmark, px", "Δ SSIM out", "Δ SSIM in")
    return "\n".join(
        [
            f"## Beyond the paper: 6 layers, each at its own best learning rate; tolerance {tolerance}",
            "",
            markdown(header, lines),
        ]
    )


def _confirmed(rows: Sequence[Row], pace: dict[str, float], fine: bool) -> str:
    """Every chosen cell against the published loop, and against W+ with the same solver and schedule."""
    cells, found = [cell for cell in confirmation() if cell.fine == fine], {row.cell.key: row for row in rows}
    if any(cell.key not in found for cell in cells):
        return ""
    chosen = [found[cell.key] for cell in cells]
    full = {row.cell.drive: row for row in reversed(chosen) if row.cell.space == "full"}
    lines, base = [], chosen[0]
    for row in chosen:
        same = full[row.cell.drive]
        (published, *within), (alike, *around) = steps_ratio(row, base), steps_ratio(row, same)
        gaps = [difference(row, base, name) for name in ("landmark", "ssim_outside", "ssim_inside")]
        mine, others = pace.get(space_key(row.cell)), pace.get(space_key(base.cell))
        lines.append(
            [
                name_of(row.cell),
                *figures_of(row),
                f"{published:.2f} ({within[0]:.2f}–{within[1]:.2f})",
                f"{published * mine / others:.2f}" if mine and others else "–",
                f"{alike:.2f} ({around[0]:.2f}–{around[1]:.2f})",
                *(f"{mean:+.3f} ± {half:.3f}" for mean, half in gaps),
            ]
        )
    tolerance = "0.5 px" if fine else "the published one, 2 px"
    header = (
        "space", *HEADER, "steps / published W+ (95 %)", "time / published W+", "steps / W+ driven alike (95 %)",
        "Δ landmark, px", "Δ SSIM out", "Δ SSIM in",
    )  # fmt: skip
    title = f"## Confirmed on edits that chose nothing: 6 layers; tolerance {tolerance}"
    return "\n".join(
        [title, "", "Differences are to the published loop in W+ (the first row).", "", markdown(header, lines)]
    )


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    names = (
        "space",
        "layers",
        "components",
        "power",
        "solver",
        "momentum",
        "slow_down",
        "half_life",
        "pace",
        "radius",
        "fine",
        "rate",
        "block",
    )
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, *FIGURES])
        for row in rows:
            means = [f"{row.mean(name):.5g}" for name in FIGURES]
            writer.writerow([*(getattr(row.cell, name) for name in names), *means])
