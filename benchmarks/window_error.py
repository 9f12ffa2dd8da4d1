"""How far are features and gradients in windows from the whole map's?

    python -m benchmarks.window_error

A config-F generator with random weights; nine handles inside the image, at its borders and in its corners. Errors are
relative to the largest value of the whole map in float32, over all that tracking and motion supervision may read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal, get_args

import click
import jax
import jax.numpy as jnp
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from dragspace_jax.drag import DragSettings
from dragspace_jax.drag.features import Engine, make_engine
from dragspace_jax.spaces import WPlus

from . import machine
from .case import Subject, config_f, random_model

Precision = Literal["float32", "bfloat16"]
EngineName = Literal["whole", "window"]


def read_and_gradient(engine: Engine, ws: jax.Array, settings: DragSettings) -> tuple[np.ndarray, np.ndarray]:
    """Patches around the handles, and the gradient of a random sum of them by the six first latents."""
    side = engine.model.config.resolution
    places = np.linspace(0, side - 1, 3).round()
    handles = jnp.asarray(np.stack(np.meshgrid(places, places), -1).reshape(-1, 2), jnp.float32)
    reach = settings.pixels(settings.radius_track, side) + settings.pixels(settings.radius_motion, side)
    space = WPlus()
    start, base = space.encode(engine.model, ws)

    def weighed(coordinates: jax.Array) -> tuple[jax.Array, jax.Array]:
        styles = space.decode(engine.model, coordinates, base)
        reader = engine.read(styles, handles, jnp.zeros(len(handles), jnp.int32), settings)
        patches = reader.patches(handles.astype(jnp.int32) - reach - 1, 2 * reach + 2)
        return jnp.sum(patches * jax.random.normal(jax.random.key(1), patches.shape)), patches

    gradient, patches = jax.jit(jax.grad(weighed, has_aux=True))(start)
    return np.asarray(patches), np.asarray(gradient)


def measure(resolution: int) -> list[dict[str, Any]]:
    """A row for each engine and type other than the reference."""
    subject = Subject.of(random_model(config_f(resolution)))
    found = {}
    for engine in get_args(EngineName):
        for dtype in get_args(Precision):
            settings = DragSettings(engine=engine, dtype=dtype).resolved(subject.model.config)
            ready = make_engine(subject.model, settings, 1)
            found[engine, dtype] = read_and_gradient(ready, jnp.asarray(subject.ws0), settings)
    reference = found.pop(("whole", "float32"))
    rows = []
    for (engine, dtype), arrays in found.items():
        errors = [float(np.abs(a - r).max() / np.abs(r).max()) for a, r in zip(arrays, reference, strict=True)]
        rows.append({"engine": engine, "type": dtype, "features": errors[0], "gradient": errors[1]})
    return rows


@click.command(help=__doc__)
@click.option("--resolution", default=512, show_default=True, type=click.Choice([128, 256, 512, 1024]))
@click.option(
    "--out", default=Path("out/benchmarks/window_error.json"), type=click.Path(path_type=Path, dir_okay=False)
)
def main(resolution: int, out: Path) -> None:
    rows = measure(resolution)
    table = Table("engine", "type", "features", "gradient", box=box.SIMPLE)
    for row in rows:
        table.add_row(row["engine"], row["type"], f"{row['features']:.1e}", f"{row['gradient']:.1e}")
    Console().print(f"{resolution} px, maximum error over the whole map's maximum in float32", table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": machine.facts(os.cpu_count() or 1), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
