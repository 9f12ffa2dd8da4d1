"""`dragspace fit-pca`: a basis to drag in, of a model's W, with pictures of it."""

from __future__ import annotations

import time
from pathlib import Path

import click
import jax.numpy as jnp
import numpy as np
from rich.progress import Progress

from dragspace_jax import spaces
from dragspace_jax.checkpoint import load
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.device_option import with_devices
from dragspace_jax.cli.errors import UserError, disk_errors
from dragspace_jax.folders import make_folder
from dragspace_jax.inputs import label_vector
from dragspace_jax.placement import devices
from dragspace_jax.results import save_image
from dragspace_jax.spaces import PCA, SpaceError, WPlus, save_space
from dragspace_jax.spaces.axes import check_count, sample_limits
from dragspace_jax.spaces.fit import DEFAULT_SAMPLES
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.viz.plots import scree_plot
from dragspace_jax.viz.traversal import POSITIONS, traversal_sheet

DEFAULT_COMPONENTS = 128


@click.command(
    "fit-pca",
    epilog="\b\nExamples:\n"
    "  dragspace fit-pca --model critters-dog --samples 1000000 --components 64 --out out/pca/dog.npz\n"
    "  dragspace drag --model critters-dog --basis out/pca/dog.npz --whiten 1 --lr 0.03 …",
)
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option(
    "--samples", default=DEFAULT_SAMPLES, show_default=True, help="Latents to draw; memory does not grow with them."
)
@click.option("--components", type=int, help=f"How many to keep [default: {DEFAULT_COMPONENTS}, or all there are].")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of the samples.")
@click.option("--label", type=int, help="Class of the samples, for a model with classes.")
@click.option("--layers", type=int, help="Layers that drags move, if they do not say [default: 6].")
@click.option("--shared", is_flag=True, help="Let them share their coordinates, if drags do not say.")
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Whether to write the two pictures.")
@click.option("--rows", type=click.IntRange(1, 256), default=8, show_default=True, help="Components to picture.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file, NAME.npz.")
@with_devices
def fit_pca(
    model: str,
    samples: int,
    components: int | None,
    seed: int,
    label: int | None,
    layers: int | None,
    shared: bool,
    pictures: bool,
    rows: int,
    out: Path,
    device: str | None,
) -> None:
    """Fit a basis of principal components of W, over Gaussian latents, for --basis of `dragspace drag` and `batch`.

    Writes NAME.npz (`mean` [D], `components` [K, D] orthonormal, `variance` [K] falling, the model's fingerprint),
    NAME.scree.png and NAME.traversal.png.
    """
    if out.suffix != ".npz":
        raise UserError(f"--out {out}: the name must end in .npz")
    generator = load(model, device=None if device is None else devices(device).devices[:1])
    if layers is not None:
        WPlus(layers=layers).check(generator)
    one_hot = label_vector(generator.config, label)
    check_count(components, sample_limits(samples, generator.config.w_dim))
    make_folder(out.parent)  # before the work, which may be long
    began = time.perf_counter()
    with disk_errors(out, "run the command again"), progress() as bar:
        task = bar.add_task("sampling", total=samples)
        basis = spaces.fit_pca(
            generator,
            samples=samples,
            seed=seed,
            device=device,
            label=None if one_hot is None else jnp.asarray(one_hot[0]),
            layers=layers,
            shared=shared,
            on_progress=lambda done: bar.update(task, completed=done),
        )
        bar.remove_task(task)
        seconds = time.perf_counter() - began
        total = float(np.asarray(basis.variance, np.float64).sum())
        basis = _truncated(basis, components)
        shown = [out.with_suffix(".scree.png"), out.with_suffix(".traversal.png")]
        for path in shown:
            path.unlink(missing_ok=True)  # of an earlier basis
        save_space(basis, out)
        if pictures:
            title = f"{out.stem}: principal components of W"
            save_image(scree_plot(basis.variance, total=total, title=title), shown[0])
            save_image(_traversal(generator, basis, total, rows, bar), shown[1])
    share = float(np.asarray(basis.variance, np.float64).sum()) / total
    count = len(basis.components)
    click.echo(
        f"{count} principal components of W, {share:.2%} of the variance, from {samples:,} samples in {seconds:.1f} s"
    )
    click.echo(f"see {', '.join(str(path) for path in (out, *(shown if pictures else ())))}")


def _truncated(basis: PCA, components: int | None) -> PCA:
    """The components asked for, of all there are. Raises SpaceError if fewer directions vary."""
    available = len(basis.components)
    if components is not None and components > available:
        raise SpaceError(
            f"the covariance is degenerate: the samples vary in {available} directions only; "
            f"ask for at most {available} components, not {components}"
        )
    return basis.truncated(min(DEFAULT_COMPONENTS, available) if components is None else components)


def _traversal(model: Generator, basis: PCA, total: float, rows: int, bar: Progress) -> np.ndarray:
    rows = min(rows, len(basis.components))
    task = bar.add_task("rendering", total=rows * len(POSITIONS))
    return traversal_sheet(
        model, basis, rows=rows, total=total, on_progress=lambda done: bar.update(task, completed=done)
    )
