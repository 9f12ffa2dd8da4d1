"""`dragspace fit-pca`: a basis to drag in, of a model's W or of finished drags, with pictures of it."""

from __future__ import annotations

import time
from pathlib import Path

import click
import jax.numpy as jnp
import numpy as np
from PIL import Image
from rich.progress import Progress

from dragspace_jax import spaces
from dragspace_jax.checkpoint import load
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.errors import UserError
from dragspace_jax.cli.finished_drags import FinishedDrags, read_finished_drags
from dragspace_jax.cli.folders import make_folder
from dragspace_jax.cli.inputs import label_vector
from dragspace_jax.cli.traversal import POSITIONS, traversal_sheet
from dragspace_jax.spaces import PCA, Displacement, SpaceError, WPlus, save_space
from dragspace_jax.spaces.axes import check_count, sample_limits
from dragspace_jax.spaces.fit import DEFAULT_SAMPLES
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.parameters import fingerprint
from dragspace_jax.viz.plots import scree_plot

DEFAULT_COMPONENTS = 128


@click.command(
    "fit-pca",
    epilog="\b\nExamples:\n"
    "  dragspace fit-pca --model critters-dog --samples 1000000 --components 64 --out out/pca/dog.npz\n"
    "  dragspace fit-pca --model critters-dog --from-drags out/batch --out out/pca/moves.npz\n"
    "  dragspace drag --model critters-dog --basis out/pca/dog.npz --whiten 1 --lr 0.03 …",
)
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option(
    "--samples", type=int, help=f"Latents to draw; memory does not grow with them [default: {DEFAULT_SAMPLES}]."
)
@click.option("--components", type=int, help=f"How many to keep [default: {DEFAULT_COMPONENTS}, or all there are].")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of the samples [default: 0].")
@click.option("--label", type=int, help="Class of the samples, for a model with classes.")
@click.option("--layers", type=int, help="Layers that drags move, if they do not say [default: 6, or all moved ones].")
@click.option("--shared", is_flag=True, help="Let them share their coordinates, if drags do not say.")
@click.option(
    "--from-drags",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="DIR",
    help="Fit the displacements of finished drags instead: a folder of `dragspace batch` or `drag`; may be repeated.",
)
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Whether to write the two pictures.")
@click.option("--rows", type=click.IntRange(1, 256), default=8, show_default=True, help="Components to picture.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file, NAME.npz.")
def fit_pca(
    model: str,
    samples: int | None,
    components: int | None,
    seed: int | None,
    label: int | None,
    layers: int | None,
    shared: bool,
    from_drags: tuple[Path, ...],
    pictures: bool,
    rows: int,
    out: Path,
) -> None:
    """Fit a basis of principal components, for --basis of `dragspace drag` and `batch`.

    Either of W, over Gaussian latents, or with --from-drags of where drags that reached their targets went. Writes
    NAME.npz (`mean` [D], `components` [K, D] orthonormal, `variance` [K] falling, the model's fingerprint; a basis of
    displacements has no mean and components [K, n, D]), NAME.scree.png and NAME.traversal.png.
    """
    if from_drags and (samples is not None or seed is not None or label is not None or shared):
        raise UserError("--samples, --seed, --label and --shared belong to a PCA of W, not to --from-drags")
    if out.suffix != ".npz":
        raise UserError(f"--out {out}: the name must end in .npz")
    generator = load(model)
    if layers is not None:
        WPlus(layers=layers).check(generator)
    count = DEFAULT_SAMPLES if samples is None else samples
    one_hot, drags = None, None
    if from_drags:
        drags = read_finished_drags(from_drags, generator)
        _check_drags(drags, components)
    else:
        one_hot = label_vector(generator.config, label)
        check_count(components, sample_limits(count, generator.config.w_dim))
    make_folder(out.parent)  # before the work, which may be long
    began = time.perf_counter()
    with progress() as bar:
        if drags is not None:
            task = bar.add_task("fitting", total=None)
            moved = drags.moved_layers if layers is None else layers
            basis = spaces.fit_displacements(drags.starts, drags.ends, layers=moved, model=fingerprint(generator))
            source = f"{drags.told()}, over {moved} layers,"
        else:
            task = bar.add_task("sampling", total=count)
            basis = spaces.fit_pca(
                generator,
                samples=count,
                seed=seed or 0,
                label=None if one_hot is None else jnp.asarray(one_hot[0]),
                layers=layers,
                shared=shared,
                on_progress=lambda done: bar.update(task, completed=done),
            )
            source = f"{count:,} samples"
        bar.remove_task(task)
        seconds = time.perf_counter() - began
        total = float(np.asarray(basis.variance, np.float64).sum())
        basis = _truncated(basis, components)
        shown = [out.with_suffix(".scree.png"), out.with_suffix(".traversal.png")]
        for path in shown:
            path.unlink(missing_ok=True)  # of an earlier basis
        save_space(basis, out)
        kind = "principal components of W" if isinstance(basis, PCA) else "principal displacements"
        if pictures:
            scree = scree_plot(basis.variance, total=total, title=f"{out.stem}: {kind}")
            Image.fromarray(scree).save(shown[0])
            Image.fromarray(_traversal(generator, basis, total, rows, bar)).save(shown[1])
    share = float(np.asarray(basis.variance, np.float64).sum()) / total
    click.echo(f"{len(basis.components)} {kind}, {share:.2%} of the variance, from {source} in {seconds:.1f} s")
    click.echo(f"see {', '.join(str(path) for path in (out, *(shown if pictures else ())))}")


def _truncated(basis: PCA | Displacement, components: int | None) -> PCA | Displacement:
    """The components asked for, of all there are. Raises SpaceError if fewer directions vary."""
    available = len(basis.components)
    if components is not None and components > available:
        raise SpaceError(
            f"the covariance is degenerate: the samples vary in {available} directions only; "
            f"ask for at most {available} components, not {components}"
        )
    return basis.truncated(min(DEFAULT_COMPONENTS, available) if components is None else components)


def _check_drags(drags: FinishedDrags, components: int | None) -> None:
    """Raises UserError if so many components cannot be had of the drags."""
    reached = len(drags.ends)
    if reached < 2:
        raise UserError(f"{drags.told()}; a basis of displacements needs at least 2 that did")
    if components is not None and not 1 <= components <= reached:
        raise UserError(f"components is {components}; {drags.told()}, so it must be from 1 to {reached}")


def _traversal(model: Generator, basis: PCA | Displacement, total: float, rows: int, bar: Progress) -> np.ndarray:
    rows = min(rows, len(basis.components))
    task = bar.add_task("rendering", total=rows * len(POSITIONS))
    return traversal_sheet(
        model, basis, rows=rows, total=total, on_progress=lambda done: bar.update(task, completed=done)
    )
