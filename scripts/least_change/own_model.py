"""The solvers on edits of a model whose world nobody knows: what can be told without the true picture."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

import dragspace_jax as ds
from dragspace_jax.batch.lines import LineError, check_choices, parse_line, read_lines
from dragspace_jax.batch.requests import RequestMaker
from dragspace_jax.checkpoint import read_card
from dragspace_jax.critters.evaluator import species_of
from dragspace_jax.drag import EditRequest, Outcome, drag_many
from dragspace_jax.drag.recipes import RECIPES
from dragspace_jax.errors import DragspaceError
from dragspace_jax.results import quality_record, render_pair
from dragspace_jax.stylegan2 import Generator
from scripts.least_change.solvers import LANES

COLUMNS = {
    "reached": "arrives, %",
    "steps": "iterations",
    "seconds": "seconds an edit",
    "ssim": "SSIM to the start",
    "psnr_db": "PSNR to the start, dB",
    "moved": "distance from W over the start's",
    "flagged": "flagged, %",
}


def requests_of(edits: Path, model: Generator, maker: RequestMaker) -> list[EditRequest]:
    """The edits of a file, as `dragspace batch` takes it. Raises click.ClickException: a line is none."""
    made = []
    for number, raw in read_lines(edits):
        try:
            made.append(maker.request(parse_line(raw, model.config.resolution), str(number)))
        except (LineError, DragspaceError, OSError) as error:
            raise click.ClickException(f"{edits}, line {number}: {error}") from error
    if not made:
        raise click.ClickException(f"{edits} holds no edit")
    return made


def compared(name: str, edits: Path) -> str:
    """Markdown: figures of every recipe on a model's edits, means over those that ran."""
    model = ds.load(name)
    lines = ["| recipe | edits | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for recipe in RECIPES:
        chosen = check_choices({"recipe": recipe})
        maker = RequestMaker(model, edits.parent, chosen, psi=0.7, label=None, species=species_of(read_card(name)))
        requests = requests_of(edits, model, maker)
        list(drag_many(model, requests[:1], lanes=LANES))  # what is made once a model, and the programs
        began = time.perf_counter()
        batch = drag_many(model, requests, lanes=LANES)
        results = [result for result in batch if result.outcome != Outcome.INVALID]
        seconds = (time.perf_counter() - began - batch.stats.compile_seconds) / max(1, len(results))
        rows: list[dict[str, float]] = []
        for result in results:
            quality = result.quality
            assert quality is not None  # it ran
            record = quality_record(quality, render_pair(result))["quality"]
            moved = (quality.distance or np.nan) / (quality.start_distance or np.nan)
            rows.append(
                {
                    "reached": 100.0 * (result.outcome == Outcome.REACHED),
                    "steps": result.steps,
                    "seconds": seconds,
                    "ssim": record.get("ssim", np.nan),
                    "psnr_db": record.get("psnr_db", np.nan),
                    "moved": moved,
                    "flagged": 100.0 * quality.flagged,
                }
            )
        means = [f"{np.mean([row[column] for row in rows]):.4g}" if rows else "–" for column in COLUMNS]
        lines.append(f"| {recipe} | {len(rows)} of {len(requests)} | " + " | ".join(means) + " |")
    return "\n".join(lines) + "\n"
