"""Tables of the study: the change of what may change over that of what must not, with 95 % intervals over images."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.local_control.measures import LEVELS
from scripts.local_control.regions import REGIONS

_HEADER = ("species", "region", "method", "images", "level", "ratio", "low", "high", "reached")


def rows(records: list[dict[str, Any]]) -> list[list[Any]]:
    """A row a species, region, method and level: geometric mean, its interval, the share of images that get there."""
    found: list[list[Any]] = []
    for species, region in dict.fromkeys((record["species"], record["region"]) for record in records):
        chosen = [r["elsewhere"] for r in records if (r["species"], r["region"]) == (species, region)]
        for method in dict.fromkeys(name for each in chosen for name in each):
            for place, level in enumerate(LEVELS):
                values = [each[method][place] for each in chosen if method in each]
                logs = np.log([level / value for value in values if value is not None])
                low, middle, high = _interval(logs)
                found.append([species, region, method, len(values), level, middle, low, high, len(logs) / len(values)])
    return found


def write(records: list[dict[str, Any]], out: Path) -> None:
    """`table.csv` with all rows, `table.md` with a column a region, both species together."""
    found = rows(records)
    with (out / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([_HEADER, *([*row[:5], *(f"{v:.3g}" for v in row[5:])] for row in found)])
    parts = []
    for place, level in enumerate(LEVELS):
        together = {
            region: [r["elsewhere"] for r in records if r["region"] == region]
            for region in REGIONS
            if any(r["region"] == region for r in records)
        }
        methods = dict.fromkeys(name for each in together.values() for one in each for name in one)
        parts.append(f"Mean squared change {level:g}, ratio (interval; share of images that get there):\n")
        parts.append(_markdown(["method", *together], (_line(m, together, place, level) for m in methods)))
    parts.append("Cosine to what the direction itself does in the region:\n")
    parts.append(_means(records, "resemblance"))
    parts.append("Cosine of the subspace of four directions to the exact region's:\n")
    parts.append(_means(records, "cosines"))
    (out / "table.md").write_text("\n".join(parts))


def _line(method: str, together: dict[str, list[dict[str, Any]]], place: int, level: float) -> list[str]:
    cells = [method]
    for each in together.values():
        values = [one[method][place] for one in each if method in one]
        logs = np.log([level / value for value in values if value is not None])
        low, middle, high = _interval(logs)
        reached = f"; {len(logs) / len(values):.0%}" if values and len(logs) < len(values) else ""
        cells.append(f"{middle:.3g} ({low:.3g}–{high:.3g}{reached})" if len(logs) else "–")
    return cells


def _interval(logs: np.ndarray) -> tuple[float, float, float]:
    if not len(logs):
        return np.nan, np.nan, np.nan
    margin = 1.96 * logs.std(ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else np.nan
    low, middle, high = np.exp(logs.mean() + np.array([-margin, 0.0, margin]))
    return float(low), float(middle), float(high)


def _means(records: list[dict[str, Any]], key: str) -> str:
    regions = [region for region in REGIONS if any(r["region"] == region for r in records)]
    names = dict.fromkeys(name for record in records for name in record.get(key, {}))
    lines = []
    for name in names:
        values = [
            [r[key][name] for r in records if r["region"] == region and name in r.get(key, {})] for region in regions
        ]
        lines.append([name, *(f"{np.mean(each):.2f}" if each else "–" for each in values)])
    return _markdown([key, *regions], lines)


def _markdown(header: list[str], lines: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in [header, ["---"] * len(header), *lines])
