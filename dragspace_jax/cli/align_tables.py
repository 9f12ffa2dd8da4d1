"""The scores of an alignment as the terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table


def tables(record: Mapping[str, Any]) -> list[Table]:
    """A row a map: scores on held-out pairs, and of the edits if there are any."""
    heads = [
        "variance explained",
        "mean of coordinates",
        "of all of W",
        *(["coarse", "fine"] if record["evaluated"] else []),
    ]
    held = _table("held-out pairs", heads)
    for method, scores in record["maps"].items():
        shares = (f"{share:.3f}" for share in scores["variance_explained"].values())
        held.add_row(method, *shares, *_coarse_and_fine(scores.get("agreement")))
    if record["evaluated"]:
        held.add_row("(pairs)", "", "", "", *_coarse_and_fine(record["pairs_agreement"]))
    if record["edits"] is None:
        return [held]
    counted = sum(row["counted"] for row in record["edits"])
    heads = ["cosine", "length ratio", "same way", "cosine, partner", "cosine, unrelated"]
    carried = _table(f"edits carried across: {counted}", heads)
    for method, scores in record["maps"].items():
        runs = scores["transfer"]
        cosines = ("–" if runs[name] is None else f"{runs[name]['cosine']:.2f}" for name in ("partner", "unrelated"))
        carried.add_row(method, *_transfer_cells(runs["aligned"]), *cosines)
    return [held, carried]


def _table(title: str, heads: list[str]) -> Table:
    shown = Table("map", title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for head in heads:
        shown.add_column(head, justify="right")
    return shown


def _coarse_and_fine(agreement: Mapping[str, Any] | None) -> list[str]:
    if agreement is None:
        return []
    return ["–" if agreement[name] is None else f"{agreement[name]:.2f}" for name in ("coarse", "fine")]


def _transfer_cells(score: Mapping[str, Any] | None) -> list[str]:
    if score is None:
        return ["–"] * 3
    return [f"{score['cosine']:.2f}", f"{score['length']:.2f}", f"{100 * score['same_way']:.0f} %"]
