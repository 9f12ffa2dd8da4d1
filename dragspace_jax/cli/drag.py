"""`dragspace drag`: drag handle points to target points on one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from dragspace_jax.checkpoint import load
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.drag_options import drag_settings, space_options, with_drag_options
from dragspace_jax.cli.errors import UserError
from dragspace_jax.cli.inputs import load_one_latent, read_mask, seed_latents
from dragspace_jax.cli.report import Pictures, prepare_folder, write_drag
from dragspace_jax.cli.space_options import make_space
from dragspace_jax.drag import drag_one, make_edit
from dragspace_jax.spaces import PCA
from dragspace_jax.spaces.pca import Basis


def parse_points(option: str, text: str) -> np.ndarray:
    """ "x,y;x,y" → [N, 2] as (y, x) float32. Raises UserError."""
    try:
        points = [[float(number) for number in part.split(",")] for part in text.strip().strip(";").split(";")]
        array = np.array(points, np.float32)
        if array.ndim != 2 or array.shape[1] != 2:
            raise ValueError
    except ValueError as error:
        raise UserError(f'{option} {text!r} is not like "x,y;x,y", in pixels') from error
    return array[:, ::-1]


@click.command(
    epilog="Example: dragspace drag --model critters-dog --seed 13 --psi 1 "
    "--handles 31,66 --targets 23,22 --out out/ear"
)
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the image, as in the published tools.")
@click.option("--psi", default=0.7, show_default=True, help="Truncation of the seed's latent; 1 is none.")
@click.option("--latents", help="W+ instead of a seed: .npy, or .npz with `ws`; [L, D] or [1, L, D].")
@click.option("--label", type=int, help="Class of the seed's image, for a model with classes.")
@click.option("--handles", required=True, help='Points to drag, "x,y;x,y" in pixels of the image.')
@click.option("--targets", required=True, help='Where they shall go, "x,y;x,y", one for each handle.')
@click.option("--mask", type=click.Path(path_type=Path), help="A picture of the image's size: white stays.")
@click.option("--invert-mask", is_flag=True, help="Black stays, white may change.")
@with_drag_options
@click.option("--pictures", type=click.Choice(["none", "final", "all"]), default="all", show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
def drag(
    model: str,
    seed: int | None,
    psi: float,
    latents: str | None,
    label: int | None,
    handles: str,
    targets: str,
    mask: Path | None,
    invert_mask: bool,
    pictures: Pictures,
    out: Path,
    **chosen: Any,
) -> None:
    """Drag handles to targets on the image of a seed or of latents.

    Writes before.png, after.png, drag.png, drag.gif, trace.npz (handles, latents, loss of every iteration),
    latents.npz (`ws`, for a further edit with --latents; `start`, where this one began) and result.json.
    """
    if (seed is None) == (latents is None):
        raise UserError("give either --seed or --latents")
    options = space_options(chosen)
    if latents is not None and label is not None and not options.fits:
        raise UserError("--label goes with --seed, or with --space pca without --basis; latents are mapped already")
    if invert_mask and mask is None:
        raise UserError("--invert-mask needs --mask")
    handles_yx, targets_yx = parse_points("--handles", handles), parse_points("--targets", targets)
    generator = load(model)
    stays = None if mask is None else read_mask(mask, side=generator.config.resolution, invert=invert_mask)
    settings = drag_settings(chosen).resolved(generator.config, masked=stays is not None)
    if seed is not None:
        start = seed_latents(generator, [seed], psi=psi, label=label)[0]
    else:
        assert latents is not None  # one of the two is there
        start = load_one_latent(latents, generator.config)
    chart = make_space(generator, options, label)

    make_edit(handles_yx, targets_yx, generator.config.resolution, stays)  # raises before anything is written
    prepare_folder(out)

    with progress() as bar:
        task = bar.add_task("dragging", total=settings.steps)

        def show(iteration: int, handles_yx: np.ndarray) -> None:
            far = np.linalg.norm(targets_yx - handles_yx, axis=1).max()
            bar.update(task, completed=iteration, description=f"dragging, {far:.1f} px to go")

        result = drag_one(
            generator,
            start,
            handles_yx,
            targets_yx,
            mask=stays,
            space=chart,
            settings=settings,
            on_progress=show,
        )
    details = {
        "model": model,
        "seed": seed,
        "psi": psi if seed is not None else None,
        "latents": latents,
        "label": label,
        "handles": handles,
        "targets": targets,
        "mask": None if mask is None else str(mask),
        "invert_mask": invert_mask,
        "space": chart.name,
        "layers": chart.layers,
        "components": len(chart.components) if isinstance(chart, Basis) else None,
        "shared": chart.shared if isinstance(chart, PCA) else None,
        "basis": chosen["basis"],
        "whiten": options.whiten,
        "recipe": chosen["recipe"],
    }
    write_drag(out, generator, result, settings, pictures=pictures, details=details)
    if np.abs(result.start - start).max() > 1e-4:
        click.echo("note: in W one vector feeds all moving layers; the drag began at another image than the latents'")
    distances = ", ".join(f"{distance:.1f}" for distance in result.distances)
    click.echo(f"{result.outcome.label} after {result.steps} steps, {distances} px from the targets; see {out}")
