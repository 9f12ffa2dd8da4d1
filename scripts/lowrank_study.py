"""How local edits along a region's directions are: change inside and outside at equal change inside.

    python -m scripts.lowrank_study --out out/lowrank-study --count 4

Every direction is followed at `--positions` places on either side of an image; the curve of the change outside over the
change inside is read where the change inside is `LEVEL`. Each image's figures are appended to results.jsonl as they
come, and a second run with the same folder goes on where the first ended. Tables: table.csv and table.md.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import jax.numpy as jnp
import numpy as np

from dragspace_jax.analysis.local import region_grams
from dragspace_jax.analysis.lowrank import null_projection, subspaces
from dragspace_jax.checkpoint import load
from dragspace_jax.critters.segments import SegmentError, named_region, seen_segments
from dragspace_jax.inputs import seed_latents
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.region_sheet import LAYERS, moved_latents

SPECIES = ("dog", "cat")
REGIONS = {
    "eye": ("eye",),
    "ear": ("ear",),
    "mouth": ("mouth", "muzzle"),
    "head": ("face", "ear"),
    "background": ("background",),
}
LEVEL = 3e-3
"""Mean squared change inside the region, of RGB from −1 to 1, at which methods are compared."""
COMPONENTS = 20  # of a global basis, among which the one with the best ratio in first order is taken
TRANSFER = (1, 4)  # images whose mean matrices give directions for the others
FIRST_SEED = 1000  # of the images that directions are carried from


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--count", default=4, show_default=True, help="Images of a species and region.")
@click.option("--positions", default=12, show_default=True, help="Places on either side of an image.")
@click.option("--regions", default=",".join(REGIONS), show_default=True)
@click.option("--species", default=",".join(SPECIES), show_default=True)
@click.option("--rpca/--no-rpca", default=True, show_default=True, help="Seconds an image, or minutes.")
def main(out: Path, count: int, positions: int, regions: str, species: str, rpca: bool) -> None:
    """Measure, then write the tables."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.jsonl"
    done = {(record["species"], record["region"], record["seed"]) for record in _read(path)}
    for name in species.split(","):
        model = load(f"critters-{name}")
        for region in regions.split(","):
            carried: dict[str, np.ndarray] | None = None
            for seed in range(count):
                if (name, region, seed) in done:
                    continue
                inside = _segment(model, region, seed)
                if inside is None:
                    continue
                carried = _carried(model, region) if carried is None else carried
                record = _measure(model, seed, inside, carried, positions, rpca)
                with path.open("a") as file:
                    file.write(json.dumps({"species": name, "region": region, "seed": seed} | record) + "\n")
                click.echo(f"{name} {region} {seed}: {record['outside']}")
    _tables(list(_read(path)), out)


def _segment(model: Generator, region: str, seed: int) -> np.ndarray | None:
    """The region on the image of a seed; None if it is not seen."""
    latents = Latents(ws=seed_latents(model, [seed], psi=0.7))
    try:
        return named_region(seen_segments(model, latents)[0], REGIONS[region])
    except SegmentError:
        return None


def _carried(model: Generator, region: str) -> dict[str, np.ndarray]:
    """{name: direction} from the mean matrices of other images."""
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    seed = FIRST_SEED
    while len(pairs) < max(TRANSFER):
        inside = _segment(model, region, seed)
        if inside is not None:
            pairs.append(region_grams(model, seed_latents(model, [seed], psi=0.7)[0], inside))
        seed += 1
    found = {}
    for images in TRANSFER:
        mean = tuple(np.mean([pair[part] for pair in pairs[:images]], 0) for part in (0, 1))
        found[f"closed form of {images} other"] = subspaces([(mean[0], mean[1])])[0].directions[0]
    return found


def _measure(
    model: Generator, seed: int, inside: np.ndarray, carried: Mapping[str, np.ndarray], positions: int, rpca: bool
) -> dict[str, Any]:
    """Change outside by method at equal change inside, and how robust PCA ended."""
    ws = seed_latents(model, [seed], psi=0.7)[0]
    region, rest = region_grams(model, ws, inside)
    project = null_projection(rest)
    closed = subspaces([(region, rest)])[0]
    directions = {"closed form": closed.directions[0], "principal, not projected": closed.principal[0]}
    record: dict[str, Any] = {"null_rest": len(closed.null_rest)}
    if rpca:
        (published,) = subspaces([(region, rest)], solver="rpca")
        record |= {
            "outcome": published.outcome.value,
            "rank_region": published.rank_region,
            "rank_rest": published.rank_rest,
        }
        if len(published.directions):
            directions["robust PCA"] = published.directions[0]
    for name, basis in (("PCA", _pca(model)), ("SeFa", _sefa(model))):
        ratios = [(d @ region @ d) / (d @ rest @ d) for d in basis]
        best = basis[int(np.argmax(ratios))]
        directions |= {name: best, f"{name}, projected": project @ best}
    drawn = np.random.RandomState(seed).randn(len(region))
    directions |= {"random": drawn, "random, projected": project @ drawn}
    directions.update(carried)
    outside = {name: _outside(model, ws, inside, direction, positions) for name, direction in directions.items()}
    return record | {"outside": {name: value for name, value in outside.items() if value is not None}}


def _pca(model: Generator) -> np.ndarray:
    return np.asarray(cached_pca(model).components, np.float64)[:COMPONENTS]


def _sefa(model: Generator) -> np.ndarray:
    """Eigenvectors of the affine maps of the layers that edits move (SeFa, arXiv 2007.06600, section 3)."""
    synthesis = model.synthesis
    identity = np.eye(model.config.w_dim, dtype=np.float32)
    names = [name for name, layer in synthesis.layer_of().items() if layer in LAYERS and not name.endswith("torgb")]
    stacked = np.repeat(np.concatenate([identity, 0 * identity[:1]])[:, None], model.config.num_ws, axis=1)
    maps = [
        np.asarray(styles[:-1] - styles[-1:], np.float64)
        for styles in synthesis.styles(jnp.asarray(stacked), names).values()
    ]
    affine = np.concatenate(maps, axis=1)
    return np.linalg.eigh(affine @ affine.T)[1].T[::-1][:COMPONENTS]


def _outside(
    model: Generator, ws: np.ndarray, inside: np.ndarray, direction: np.ndarray, positions: int
) -> float | None:
    """Mean squared change outside where that inside is `LEVEL`; the mean of both ways, None if neither gets there."""
    unit = direction / np.linalg.norm(direction)
    steps = np.geomspace(0.005, 20.0, positions)
    images = render_images(model, moved_latents(ws, unit, [0.0, *steps, *-steps], LAYERS))
    change = np.mean((images[1:] - images[:1]) ** 2, axis=3).reshape(2, positions, *inside.shape)
    found = []
    for way in change:
        within, beyond = way[:, inside].mean(1), way[:, ~inside].mean(1)
        first = int(np.argmax(within >= LEVEL))
        if within[first] < LEVEL or first == 0:
            continue
        ends = slice(first - 1, first + 1)
        found.append(np.exp(np.interp(np.log(LEVEL), np.log(within[ends]), np.log(beyond[ends]))))
    return float(np.mean(found)) if found else None


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))


def _tables(records: list[dict[str, Any]], out: Path) -> None:
    """A row a species, region and method: geometric mean of inside / outside, and its 95 % interval over images."""
    rows: list[list[Any]] = []
    for species, region in dict.fromkeys((record["species"], record["region"]) for record in records):
        chosen = [r["outside"] for r in records if (r["species"], r["region"]) == (species, region)]
        for method in dict.fromkeys(name for outside in chosen for name in outside):
            logs = np.log([LEVEL / outside[method] for outside in chosen if method in outside])
            margin = 1.96 * logs.std(ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else np.nan
            low, middle, high = np.exp(logs.mean() + margin * np.array([-1.0, 0.0, 1.0]))
            rows.append([species, region, method, len(logs), f"{middle:.2f}", f"{low:.2f}", f"{high:.2f}"])
    header = ["species", "region", "method", "images", "inside / outside", "low", "high"]
    with (out / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    lines = [header, ["---"] * len(header), *rows]
    (out / "table.md").write_text("".join(f"| {' | '.join(map(str, line))} |\n" for line in lines))


if __name__ == "__main__":
    main()
