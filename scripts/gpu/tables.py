"""What came out of the steps, as Markdown and as lines of JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from dragspace_jax.benchmarks.report import Table

from .running import DONE, Result
from .steps import STEPS

TITLE = "# On a GPU"
GOOD_ENOUGH = 0.9
"""Of the best speed, for `auto` lanes."""


def write(folder: Path, results: Mapping[str, Result]) -> list[Path]:
    """Write `gpu.md` and `gpu.jsonl` of the steps that have run."""
    known = [(step, results[step.name]) for step in STEPS if step.name in results]
    lines = [json.dumps({"step": step.name, **dataclasses.asdict(result)}) for step, result in known]
    text = [TITLE, "Written by `python -m scripts.on_gpu`; the numbers are in `gpu.jsonl`.", *machines(results)]
    text.append("\n".join(["| step | what it tells | outcome | seconds |", "|---|---|---|---|", *map(_line, known)]))
    for step, result in known:
        text.append(f"## `{step.name}`: {step.question}")
        text.append(f"```\n{' '.join(result.command)}\n```")
        text += verdicts(result)
        if result.numbers is not None:
            tables = [Table.from_json(table) for table in result.numbers["tables"]]
            text += [f"{table.title}:\n\n{table.markdown(result.numbers['rows'])}" for table in tables]
        if result.numbers is None or result.outcome != DONE:
            text.append(f"```\n{result.said}\n```")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "gpu.md", folder / "gpu.jsonl"]
    for path, content in zip(paths, ("\n\n".join(text), "\n".join(lines)), strict=True):
        path.write_text(content + "\n")
    return paths


def _line(known: tuple) -> str:
    step, result = known
    return f"| `{step.name}` | {step.question} | {result.outcome} | {result.seconds:.0f} |"


def machines(results: Mapping[str, Result]) -> list[str]:
    """A line for each card, set of versions and commit that the numbers come from."""
    lines = []
    for result in results.values():
        if result.numbers is not None:
            machine = result.numbers["machine"]
            versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
            lines.append(
                f"{machine['device']} ({machine['platform']}), {machine['processor']}, {versions}; "
                f"baseline on {machine['baseline_device'] or 'nothing'}; commit {machine['commit']}"
            )
    return list(dict.fromkeys(lines))


def verdicts(result: Result) -> Sequence[str]:
    """Whether `auto` lanes come near enough to the best ones, where both were measured."""
    rows = [] if result.numbers is None else result.numbers["rows"]
    found = []
    for row in rows:
        if row.get("of_best") is not None:
            word = "within" if row["of_best"] >= GOOD_ENOUGH else "NOT within"
            found.append(
                f"{row['dtype']}: `auto` took {row['lanes']} lanes, at {row['of_best']:.2f} of the best speed: "
                f"{word} 10 %."
            )
    return found
