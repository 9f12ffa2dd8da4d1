"""`dragspace drag`: drag handle points to target points on one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import jax
import numpy as np

from dragspace_jax.batch.lines import check_choices
from dragspace_jax.batch.regions import RegionChoice, RegionReader
from dragspace_jax.checkpoint import load_model, read_card
from dragspace_jax.cli.console import fitting, progress
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.cli.drag_options import with_drag_options
from dragspace_jax.cli.errors import UserError, disk_errors
from dragspace_jax.cli.inputs import parse_points
from dragspace_jax.critters.evaluator import species_of
from dragspace_jax.drag import EditRequest, make_edit
from dragspace_jax.drag.edit import resolved_settings
from dragspace_jax.drag.recipes import family_choices, settings_of, space_of
from dragspace_jax.drag.single import drag_made
from dragspace_jax.folders import locked
from dragspace_jax.input_pictures import read_mask
from dragspace_jax.inputs import read_latents, start_latents
from dragspace_jax.results import Pictures, refuse_drag, write_drag
from dragspace_jax.spaces.options import make_space
from dragspace_jax.stylegan2 import Latents


@click.command(
    epilog="Example: dragspace drag --model critters-dog --seed 13 --psi 1 "
    "--handles 31,66 --targets 18,34 --out out/ear"
)
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the image, as in the published tools.")
@click.option("--psi", default=0.7, show_default=True, help="Truncation of the seed's latent; 1 is none.")
@click.option("--latents", help="W+ instead of a seed: .npy, or .npz with `ws`; [L, D] or [1, L, D]. Of a BigGAN .npz.")
@click.option("--label", type=int, help="Class of the seed's image, for a model with classes.")
@click.option("--handles", required=True, help='Points to drag, "x,y;x,y" in pixels of the image.')
@click.option("--targets", required=True, help='Where they shall go, "x,y;x,y", one for each handle.')
@click.option("--mask", type=click.Path(path_type=Path), help="A picture of the image's size: white stays.")
@click.option("--invert-mask", is_flag=True, help="Black stays, white may change.")
@click.option("--region", metavar="x,y,w,h|FILE", help="Instead of a mask: a box, or a picture whose white may change; "
              "it grows by 1/32 of the side and along the handles' ways.")  # fmt: skip
@click.option(
    "--segment",
    metavar="NAME[,NAME]",
    help="Likewise, by what the embedded models' pictures show: eye, ear, face, mouth, eye_left, … (docs/settings.md).",
)
@click.option(
    "--segments", metavar="FILE", help="A label map, for --segment with its ids: a PNG of ids as grey values."
)
@with_drag_options
@with_device
@click.option("--pictures", type=click.Choice(["none", "final", "all"]), default="all", show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier drag left in the folder.")
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
    region: str | None,
    segment: str | None,
    segments: str | None,
    pictures: Pictures,
    out: Path,
    overwrite: bool,
    **chosen: Any,
) -> None:
    """Drag handles to targets on the image of a seed or of latents.

    Writes before.png, after.png, drag.png, drag.gif, trace.npz (handles, latents, loss of every iteration),
    latents.npz (`ws`, for a further edit with --latents; `start`, where this one began) and result.json.
    """
    if (seed is None) == (latents is None):
        raise UserError("give either --seed or --latents")
    named = check_choices(chosen)
    options = space_of(named)
    if latents is not None and label is not None and not options.fits:
        raise UserError("--label goes with --seed, or with --space pca without --basis; latents are mapped already")
    if invert_mask and mask is None:
        raise UserError("--invert-mask needs --mask")
    may_change = RegionChoice.of(region=region, segment=segment, segments=segments, mask=mask)
    handles_yx, targets_yx = parse_points("--handles", handles), parse_points("--targets", targets)
    refuse_drag(out, overwrite=overwrite)  # before the model is read
    generator = load_model(model)
    named = family_choices(named, generator)
    options = space_of(named)
    side = generator.config.resolution
    stays = None if mask is None else read_mask(mask, side=side, invert=invert_mask)
    settings = settings_of(named, side)
    settings = resolved_settings(settings, generator.config, region=stays is not None or bool(may_change))
    if seed is not None:
        start = jax.tree.map(lambda leaf: leaf[0], start_latents(generator, [seed], psi=psi, label=label))
    else:
        assert latents is not None  # one of the two is there
        start = read_latents(latents, generator)
    free = RegionReader(generator, species_of(read_card(model), label), Path()).region(may_change, start)
    with fitting() as on_progress:
        space = make_space(generator, options, label, on_progress=on_progress)
    request = EditRequest(
        latents=start,
        handles_yx=handles_yx,
        targets_yx=targets_yx,
        mask=stays,
        region=free,
        space=space,
        settings=settings,
    )
    edit = make_edit(generator, request)  # raises before anything is written

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
        "region": region,
        "segment": segment,
        "segments": segments,
        "basis": options.basis,
        "recipe": named["recipe"],
    }
    advice = "run the command again with --overwrite"
    with disk_errors(out, advice), locked(out):
        refuse_drag(out, overwrite=overwrite)
        with progress() as bar:
            task = bar.add_task("dragging", total=settings.steps)

            def show(iteration: int, handles_yx: np.ndarray) -> None:
                far = np.linalg.norm(targets_yx - handles_yx, axis=1).max()
                bar.update(task, completed=iteration, description=f"dragging, {far:.1f} px to go")

            result = drag_made(generator, edit, on_progress=show)
        write_drag(out, result, pictures=pictures, details=details)
    if isinstance(start, Latents) and np.abs(result.start.ws - start.ws).max() > 1e-4:
        click.echo("note: in W one vector feeds all moving layers; the drag began at another image than the latents'")
    distances = ", ".join(f"{distance:.1f}" for distance in result.distances)
    click.echo(f"{result.outcome.label} after {result.steps} steps, {distances} px from the targets; see {out}")
    assert result.quality is not None  # only invalid edits have none
    click.echo(result.quality.verdict)
