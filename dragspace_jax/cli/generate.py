"""`dragspace generate`: images of seeds or latents, and a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
import jax
import numpy as np
from PIL import Image

from dragspace_jax.checkpoint import load_model
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.cli.errors import UserError
from dragspace_jax.cli.inputs import parse_seeds
from dragspace_jax.folders import make_folder
from dragspace_jax.inputs import check_seed_options, read_several_latents, start_latents
from dragspace_jax.networks.rendering import render_batches
from dragspace_jax.stylegan2.layers import Noise
from dragspace_jax.viz.sheets import contact_sheet, to_uint8

_SHEET_IMAGES = 64
_SHEET_SIDE = 256


@click.command()
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option("--seeds", help="Seeds: numbers and ranges, such as 0-15 or 1,5,9-12.")
@click.option("--latents", help="W+ instead of seeds: .npy, or .npz with `ws`; [L, D] or [n, L, D]. Of a BigGAN .npz.")
@click.option(
    "--psi",
    default=0.7,
    show_default=True,
    help="Truncation of the seeds' latents; 1 is none, and the most that a BigGAN takes.",
)
@click.option("--label", type=int, help="Class of the seeds' images, for a model with classes.")
@click.option("--noise", type=click.Choice(["const", "none", "random"]), default="const", show_default=True)
@click.option("--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
@click.option("--raw", is_flag=True, help="Also write images.npy, float32 [n, H, W, 3] before clipping.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the images.")
@with_device
def generate(
    model: str,
    seeds: str | None,
    latents: str | None,
    psi: float,
    label: int | None,
    noise: Noise,
    dtype: str,
    raw: bool,
    out: Path,
) -> None:
    """Write one PNG per seed (or latent) and sheet.png, a contact sheet of the first 64."""
    if (seeds is None) == (latents is None):
        raise UserError("give either --seeds or --latents")
    numbers = None if seeds is None else parse_seeds(seeds)
    generator = load_model(model)
    if numbers is None:
        assert latents is not None  # one of the two is there
        if label is not None:
            raise UserError("--label goes with --seeds; latents are mapped already")
        start = read_several_latents(latents, generator)
        names = [f"latent{i:04d}" for i in range(len(jax.tree.leaves(start)[0]))]
        make_folder(out)
    else:
        check_seed_options(generator.config, psi=psi, label=label)
        make_folder(out)  # before the work, which may be long
        start = start_latents(generator, numbers, psi=psi, label=label)
        names = [f"seed{seed:04d}" for seed in numbers]
    side = generator.config.resolution
    whole = _raw_images(out / "images.npy", (len(names), side, side, 3)) if raw else nullcontext()
    small: list[np.ndarray] = []
    done = 0
    with whole as kept, progress() as bar:
        task = bar.add_task("rendering", total=len(names))
        for images in render_batches(generator, start, noise=noise, dtype=dtype):
            if kept is not None:
                kept[done : done + len(images)] = images
            for image in to_uint8(images):
                Image.fromarray(image).save(out / f"{names[done]}.png")
                if done < _SHEET_IMAGES:
                    small.append(_thumbnail(image))
                done += 1
            bar.update(task, completed=done)
    labels = [str(n) for n in numbers[:_SHEET_IMAGES]] if numbers is not None else None
    Image.fromarray(contact_sheet(small, labels=labels)).save(out / "sheet.png")
    click.echo(f"wrote {done} image{'s' if done > 1 else ''} and sheet.png to {out}")


@contextmanager
def _raw_images(path: Path, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """A float32 array on disk to be filled; it gets the name `path` only if the block ends well, else it goes."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        images = np.lib.format.open_memmap(staging, "w+", np.float32, shape)
        yield images
        images.flush()
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    if image.shape[0] <= _SHEET_SIDE:
        return image
    return np.asarray(Image.fromarray(image).resize((_SHEET_SIDE, _SHEET_SIDE), Image.Resampling.LANCZOS))
