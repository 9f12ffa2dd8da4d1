"""How far are features and gradients in windows from the whole map's?

    python -m benchmarks.window_error

A config-F generator with random weights, or a model; nine handles inside the image, at its borders and in its corners.
Errors are relative to the largest value of the whole map in float32, over all that tracking and motion supervision may
read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click
import numpy as np

from dragspace_jax.checkpoint import load

from . import report
from .case import Sample, config_f, random_model
from .device_rates import Precision
from .implementation import Engine, features_and_gradient
from .machine import cores, facts
from .report import Column, Table

TABLE = Table(
    "error over the largest value of the whole map in float32",
    [
        Column("resolution, px", ["resolution"], "{:d}"),
        Column("engine", ["engine"]),
        Column("type", ["dtype"]),
        Column("features", ["features"], "{:.1e}"),
        Column("gradient", ["gradient"], "{:.1e}"),
    ],
)


def measure(sample: Sample) -> list[dict[str, Any]]:
    """A row for each engine and type other than the reference."""
    side = sample.model.config.resolution
    places = np.linspace(0, side - 1, 3).round()
    handles = np.stack(np.meshgrid(places, places), -1).reshape(-1, 2)
    found = {
        (engine, dtype): features_and_gradient(sample, handles, engine, dtype)
        for engine in get_args(Engine)
        for dtype in get_args(Precision)
    }
    reference = found.pop(("whole", "float32"))
    rows = []
    for (engine, dtype), arrays in found.items():
        errors = [float(np.abs(a - r).max() / np.abs(r).max()) for a, r in zip(arrays, reference, strict=True)]
        rows.append(
            {"resolution": side, "engine": engine, "dtype": dtype, "features": errors[0], "gradient": errors[1]}
        )
    return rows


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--model", default=None, help="A model folder or an embedded model instead of random weights.")
@click.option("--resolution", default=512, type=click.Choice([128, 256, 512, 1024]), help="Of the random weights.")
@click.option(
    "--out", default=Path("out/benchmarks/window_error.json"), type=click.Path(path_type=Path, dir_okay=False)
)
def main(model: str | None, resolution: int, out: Path) -> None:
    with cores(None) as count:
        rows = measure(Sample.of(random_model(config_f(resolution)) if model is None else load(model)))
        report.finish(report.results_console(), out, facts(count), [TABLE], rows)


if __name__ == "__main__":
    main()
