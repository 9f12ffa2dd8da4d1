"""How disentangled Z, W, W+, S and the principal components of W are, by DCI, on the embedded models.

    python -m scripts.dci_study --out out/dci

For every space samples are drawn without truncation, their pictures read by the predictor, and the scores of
`metrics.dci` found; W+ has an independent w in each layer. What is done lies in files of its own, and the same command
goes on where it was stopped. The table is printed and written to table.md, all importances are kept.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import jax.numpy as jnp
import numpy as np
from rich.progress import Progress

import dragspace_jax as ds
from dragspace_jax.arrays import read_arrays, write_arrays
from dragspace_jax.critters import ATTRIBUTES
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.inputs import seed_latents
from dragspace_jax.metrics.dci import DCI, balanced, dci
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.stylegan2 import Generator, seed_to_z

SPACES = ("Z", "W", "W+", "S", "PCA of W")
SPECIES = ("dog", "cat")
_BATCH = 200


def samples(model: Generator, count: int, *, independent: bool) -> np.ndarray:
    """ws [n, L, D] of the first seeds, not truncated: one w for all layers, or one of each of n · L seeds."""
    layers = model.config.num_ws
    if not independent:
        return seed_latents(model, range(count), psi=1.0)
    each = seed_latents(model, range(count, count + count * layers), psi=1.0)[:, 0]
    return each.reshape(count, layers, -1)


def factors(model: Generator, evaluator: Evaluator, ws: np.ndarray, progress: Progress, name: str) -> np.ndarray:
    """[n, A], what the predictor reads off the pictures, of the attributes that it reads reliably."""
    task = progress.add_task(name, total=len(ws))
    read = evaluator.predict_latents(model, ws, on_progress=lambda done: progress.advance(task, done))
    return evaluator.reliable_attributes(read)


def codes(model: Generator, space: str, ws: np.ndarray) -> np.ndarray:
    """[n, C], coordinates of the samples."""
    if space == "Z":
        return np.concatenate([seed_to_z(seed, model.config.z_dim) for seed in range(len(ws))])
    if space == "W":
        return ws[:, 0]
    if space == "W+":
        return ws.reshape(len(ws), -1)
    if space == "S":
        parts = [model.synthesis.styles(jnp.asarray(ws[start : start + _BATCH])) for start in range(0, len(ws), _BATCH)]
        return np.concatenate([np.concatenate([np.asarray(s) for s in part.values()], 1) for part in parts])
    basis = cached_pca(model)
    return np.asarray((ws[:, 0] - np.asarray(basis.mean)) @ np.asarray(basis.components).T)


def scored(out: Path, species: str, count: int, spaces: tuple[str, ...], progress: Progress) -> dict[str, DCI]:
    """{space: its scores} of a species."""
    model, evaluator = ds.load(f"critters-{species}"), Evaluator.load(species)
    middles = np.array([0.5 * (a.low + a.high) for a in ATTRIBUTES if a.name in evaluator.reliable])
    found: dict[str, DCI] = {}
    for space in spaces:
        path = out / f"{species}-{space.replace(' ', '-')}.npz"
        if not path.exists():
            independent = space == "W+"
            ws = samples(model, count, independent=independent)
            read_path = out / f"{species}-{'independent' if independent else 'same'}-attributes.npz"
            if not read_path.exists():
                write_arrays(read_path, {"read": factors(model, evaluator, ws, progress, f"{species}, pictures")})
            read = read_arrays(read_path)["read"]
            counts = balanced(read, middles)
            names = [name for name, each in zip(evaluator.reliable, counts, strict=True) if each]
            task = progress.add_task(f"{species}, {space}", total=len(names))
            known = codes(model, space, ws)
            fitted = dci(known, read[:, counts], names=names, on_factor=partial(progress.advance, task))
            write_arrays(
                path,
                {"importance": fitted.importance, "accuracy": fitted.accuracy, "names": np.array(names)},
            )
        arrays = read_arrays(path)
        found[space] = DCI(importance=arrays["importance"], accuracy=arrays["accuracy"])
    return found


def table(found: dict[str, dict[str, DCI]]) -> str:
    """Markdown: a row a species and space."""
    header = ["model", "space", "codes", "attributes", "disentanglement", "completeness", "informativeness"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for species, spaces in found.items():
        for space, each in spaces.items():
            intervals = each.intervals()
            cells = [f"{v:.2f} ({intervals[k][0]:.2f}–{intervals[k][1]:.2f})" for k, v in each.scores.items()]
            sizes = [str(size) for size in each.importance.shape]
            lines.append(f"| {' | '.join([species, space, *sizes, *cells])} |")
    return "\n".join(lines) + "\n"


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to fill.")
@click.option("--samples", "count", default=4000, help="Of every space.")
@click.option("--space", "spaces", multiple=True, type=click.Choice(SPACES), default=SPACES, help="Only these.")
def main(out: Path, count: int, spaces: tuple[str, ...]) -> None:
    """Measure, then write the table."""
    out.mkdir(parents=True, exist_ok=True)
    with Progress() as progress:
        found = {species: scored(out, species, count, spaces, progress) for species in SPECIES}
    text = table(found)
    (out / "table.md").write_text(text)
    click.echo(text)


if __name__ == "__main__":
    main()
