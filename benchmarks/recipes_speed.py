"""What does a drag by each recipe cost, in the same windows of the same network?

    python -m benchmarks.recipes_speed --resolution 512 --lanes 4
    python -m benchmarks.recipes_speed --resolution 128 --lanes 16 --handles 1,4 --no-image

Random weights of config F; every drag takes a fixed number of iterations, its target being out of reach. Two such
numbers tell apart what an iteration costs and what an edit costs besides: its metric, taking it in, giving it back.
Compiling and what is made once a model, a basis and the model's metric, are counted in neither.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import click

from dragspace_jax.drag import EditRequest, drag_many
from dragspace_jax.drag.recipes import recipe
from dragspace_jax.drag.region import box_region
from dragspace_jax.stylegan2 import Generator

from . import report
from .case import Case, config_f, edits_of, latents, random_model
from .machine import facts, warn_if_busy

SHORT, LONG = 2, 10
"""Iterations of the two kinds of drags."""
ROUNDS = 3
TABLE = report.Table(
    "cost of a drag by recipe",
    [
        report.Column("drag", ["name"]),
        report.Column("handles", ["handles"], "{:d}"),
        report.Column("ms an iteration", ["iteration_ms"], "{:.3g}"),
        report.Column("× published", ["against_published"], "{:.2f}"),
        report.Column("s an edit besides", ["edit_seconds"], "{:.3g}"),
    ],
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestant:
    """A way to drag: a recipe, and what the edit says of where the image may change."""

    name: str
    recipe: str
    region: bool = False
    metric: str | None = None

    def requests(self, model: Generator, case: Case, lanes: int, iterations: int) -> list[EditRequest]:
        """An edit a lane, all of the same number of iterations."""
        known = recipe(self.recipe, model)
        settings = dataclasses.replace(known.settings, steps=iterations, stall=0, tolerance=1e-3, metric=self.metric)
        side = case.side
        return [
            EditRequest(
                id=str(seed),
                latents=ws,
                handles_yx=case.points_yx,
                targets_yx=case.targets_yx,
                region=box_region((side // 4, side // 4, side // 2, side // 2), side) if self.region else None,
                space=known.space,
                settings=settings,
            )
            for seed, ws in enumerate(latents(model, range(lanes)))
        ]


def seconds(contestant: Contestant, model: Generator, case: Case, lanes: int, iterations: int) -> float:
    """Of a batch of as many edits as lanes, compiled before: the least of some rounds."""
    requests = contestant.requests(model, case, lanes, iterations)
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        results = list(drag_many(model, requests, lanes=lanes))
        times.append(time.perf_counter() - began)
        taken = {result.steps for result in results}
        if taken != {iterations}:
            raise click.ClickException(f"{contestant.name}: drags took {sorted(taken)} iterations, not {iterations}")
    return min(times[1:])


def rows_of(model: Generator, cases: list[Case], contestants: list[Contestant], lanes: int) -> list[dict[str, Any]]:
    """A row for each contestant and number of handles; the published loop without a region comes first."""
    rows: list[dict[str, Any]] = []
    for case in cases:
        published = None
        for contestant in contestants:
            short, long = (seconds(contestant, model, case, lanes, count) for count in (SHORT, LONG))
            each = (long - short) / (LONG - SHORT) / lanes
            published = each if published is None else published
            rows.append(
                {
                    "name": contestant.name,
                    "handles": len(case.points),
                    "iteration_ms": 1e3 * each,
                    "against_published": each / published,
                    "edit_seconds": max(0.0, short / lanes - SHORT * each),
                }
            )
            click.echo(TABLE.markdown(rows[-1:]).splitlines()[-1])
    return rows


@click.command(context_settings={"show_default": True})
@click.option("--resolution", default=512, help="Side of the image, config F.")
@click.option("--lanes", default=4, type=click.IntRange(1), help="Edits at once.")
@click.option("--region/--no-region", default=True, help="Drags within a box too: the published one masks the rest.")
@click.option("--image/--no-image", default=True, help="The image's own metric too: a minute an edit at 512 px.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/recipes-speed.json"), help="Numbers as JSON.")
def main(resolution: int, lanes: int, region: bool, image: bool, out: Path) -> None:
    """Time an iteration of every recipe, and what an edit costs besides."""
    console, machine = report.results_console(), facts(os.cpu_count() or 1)
    warn_if_busy(console, machine)
    contestants = [
        Contestant(name="published", recipe="published"),
        Contestant(name="least change", recipe="least-change"),
    ]
    if region:
        contestants += [
            Contestant(name="published, the rest masked", recipe="published", region=True),
            Contestant(name="least change, region, model's metric", recipe="least-change", region=True, metric="model"),
        ]
    if region and image:
        contestants.append(
            Contestant(name="least change, region, image's metric", recipe="least-change", region=True, metric="image")
        )
    edits = edits_of(config_f(resolution))
    model = random_model(config_f(resolution))
    rows = rows_of(model, [edits["one"], edits["four"]], contestants, lanes)
    report.finish(console, out, machine, [TABLE], rows)


if __name__ == "__main__":
    main()
