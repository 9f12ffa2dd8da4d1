"""How local edits along a region's directions are: change inside and outside, at equal change inside.

    python -m scripts.lowrank_study --out out/lowrank-study --count 12

Every direction is followed at `--positions` places on either side of an image; the curve of the change outside over the
change inside is read at two levels (`measures.LEVELS`). Methods: a region's own directions, in closed form and by
robust PCA, measured as published and as edits move; global ones (GANSpace, SeFa, random) as they are, projected onto
the null space of the rest, and kept within the region; directions of other images; directions of a region that was
marked badly; and global ones that shall leave the region alone. Figures are appended to results.jsonl as they come, and
the same command goes on where it was stopped. Tables: table.csv and table.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import track

from dragspace_jax.checkpoint import load
from dragspace_jax.inputs import seed_latents
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.viz.region_sheet import LAYERS
from scripts.local_control import methods, tables
from scripts.local_control.measures import change_elsewhere
from scripts.local_control.regions import EXACT, Region, regions_of

SPECIES = ("dog", "cat")
PSI = 0.7
TRANSFER = (1, 4, 16)  # images whose mean matrices give directions for the others
FIRST_SEED = 1000  # of the images that directions are carried from


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to fill.")
@click.option("--count", default=12, help="Images of a species.")
@click.option("--positions", default=8, help="Places on either side of an image.")
@click.option("--rpca", default=4, help="Images of a species that are factored by robust PCA, which takes its time.")
@click.option("--marked", default=6, help="Images of a species whose regions are marked badly as well.")
def main(out: Path, count: int, positions: int, rpca: int, marked: int) -> None:
    """Measure, then write the tables."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.jsonl"
    done = {(record["species"], record["seed"]) for record in _read(path)}
    models = {name: load(f"critters-{name}") for name in SPECIES}
    bases = {name: methods.global_bases(model, LAYERS) for name, model in models.items()}
    carried: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for seed in track(range(count), description="images"):
        for name, model in models.items():
            if (name, seed) in done:
                continue
            if name not in carried:
                carried[name] = _carried(model)
            ws = seed_latents(model, [seed], psi=PSI)[0]
            lines = []
            for region_name, region in regions_of(model, ws, LAYERS).items():
                directions = methods.own(region, rpca=seed < rpca) | methods.foreign(region, bases[name], seed)
                directions |= carried[name].get(region_name, {})
                record: dict[str, Any] = {"species": name, "seed": seed, "region": region_name}
                record["resemblance"] = {
                    f"{source}, {how}": methods.resemblance(region, directions[source], directions[f"{source}, {how}"])
                    for source in (*bases[name], "random")
                    for how in ("projected", "kept")
                }
                if seed < marked:
                    wrong, record["cosines"] = methods.marked(region)
                    directions |= wrong
                record["elsewhere"] = _elsewhere(model, ws, region, directions, positions, outside=False)
                leaving = methods.leaving(region, bases[name])
                record["elsewhere"] |= {
                    f"to leave the region alone: {how}": value
                    for how, value in _elsewhere(model, ws, region, leaving, positions, outside=True).items()
                }
                lines.append(json.dumps(record) + "\n")
            with path.open("a") as file:  # an image at once, or not at all
                file.write("".join(lines))
    tables.write(list(_read(path)), out)
    click.echo((out / "table.md").read_text())


def _carried(model: Generator) -> dict[str, dict[str, np.ndarray]]:
    """{region: {method: direction}} of images that are not measured."""
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + max(TRANSFER)):
        ws = seed_latents(model, [seed], psi=PSI)[0]
        for name, region in regions_of(model, ws, LAYERS).items():
            pairs.setdefault(name, []).append(region.edited[EXACT])
    return {name: methods.shared(each, TRANSFER) for name, each in pairs.items()}


def _elsewhere(
    model: Generator,
    ws: np.ndarray,
    region: Region,
    directions: dict[str, np.ndarray],
    positions: int,
    *,
    outside: bool,
) -> dict[str, list[float | None]]:
    """{method: the change elsewhere, level by level}; `outside`: what is outside changes, and the region must stay."""
    inside_gram, rest_gram = region.edited[EXACT]
    gram, where = (rest_gram, ~region.inside) if outside else (inside_gram, region.inside)
    return {
        name: change_elsewhere(model, ws, where, d, float(d @ gram @ d), LAYERS, positions)
        for name, d in directions.items()
    }


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))


if __name__ == "__main__":
    main()
