"""`dragspace lowrank`: directions that change a region of images and leave the rest alone, with a sheet of them."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from dragspace_jax.analysis import regional
from dragspace_jax.analysis.jacobian import Channels
from dragspace_jax.analysis.local import PUBLISHED_SIDE, Coordinates
from dragspace_jax.analysis.lowrank import DIRECTIONS, SOLVERS, Outcome, Solver
from dragspace_jax.analysis.moves import LAYERS, chosen_layers
from dragspace_jax.analysis.region_file import RegionDirections
from dragspace_jax.analysis.rpca import ITERATIONS
from dragspace_jax.batch.regions import RegionChoice, RegionReader
from dragspace_jax.checkpoint import load, read_card
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.cli.edit_inputs import parse_layers
from dragspace_jax.cli.errors import UserError, disk_errors
from dragspace_jax.cli.inputs import parse_seeds
from dragspace_jax.critters.evaluator import species_of
from dragspace_jax.folders import make_folder
from dragspace_jax.inputs import load_latents, seed_latents
from dragspace_jax.results import save_image
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.viz.region_sheet import SPAN, region_sheet

_EXAMPLES = """\b
Examples:
  dragspace lowrank --model critters-dog --seeds 0-3 --segment eye --out out/eye
  dragspace lowrank --model critters-cat --seeds 7 --region 40,70,48,30 --solver rpca --out out/box
  dragspace lowrank --model critters-dog --seeds 0-15 --segment mouth --shared --out out/mouth
"""


@click.command(epilog=_EXAMPLES)
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option("--seeds", help="Seeds of the images: numbers and ranges, such as 0-15 or 1,5,9-12.")
@click.option("--latents", help="W+ instead of seeds: .npy, or .npz with `ws`; [L, D] or [n, L, D].")
@click.option("--psi", default=0.7, show_default=True, help="Truncation of the seeds' latents; 1 is none.")
@click.option("--label", type=int, help="Class of the seeds' images, for a model with classes.")
@click.option("--region", metavar="x,y,w,h|FILE", help="What to change: a box, or a picture that is white there.")
@click.option("--segment", metavar="NAME[,NAME]", help="Likewise, by what the embedded models' pictures show.")
@click.option("--segments", metavar="FILE", help="A label map, for --segment with its ids.")
@click.option("--shared", is_flag=True, help="One basis from all images, instead of one for each.")
@click.option("--solver", type=click.Choice(SOLVERS), default=SOLVERS[0], show_default=True,
              help="closed: generalised eigenvectors (ReSeFa); rpca: robust PCA, null space (LowRankGAN).")  # fmt: skip
@click.option("--directions", type=click.IntRange(1),
              help=f"At most, of an image [default: {DIRECTIONS}; rpca: the rank].")  # fmt: skip
@click.option("--relax", type=click.IntRange(0), default=0, show_default=True,
              help="With rpca: so many of the rest's weakest directions may change.")  # fmt: skip
@click.option("--lambda", "inverse_weight", type=click.FloatRange(0, min_open=True),
              help="With rpca: its λ is one over this; published: 60 [default: 60 √(D / 512)].")  # fmt: skip
@click.option("--iterations", type=click.IntRange(1), default=ITERATIONS, show_default=True, help="With rpca: at most.")
@click.option("--coordinates", type=click.Choice(["w", "z"]), default="w", show_default=True,
              help="Of the Jacobian: one w for all layers, or z.")  # fmt: skip
@click.option("--channels", type=click.Choice(["mean", "each"]),
              help="The mean over RGB, or the three kept apart [default: each; rpca: mean].")  # fmt: skip
@click.option("--side", type=click.IntRange(4), default=PUBLISHED_SIDE, show_default=True,
              help="Larger images are resized to this by nearest neighbour.")  # fmt: skip
@click.option("--on-layers", metavar="FIRST-LAST", help="Layers of W+, from 0, that the sheet's edits move, and that "
              f"`closed` measures in [default: {LAYERS[0]}-{LAYERS[1]}, or as many as there are].")  # fmt: skip
@click.option("--span", type=click.FloatRange(0, min_open=True),
              help=f"How far the sheet goes; published: {SPAN:g} [default: to a visible change].")  # fmt: skip
@click.option("--rows", type=click.IntRange(1, 64), default=3, show_default=True,
              help="Directions of an image in the sheet, which shows the first 8 images.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@with_device
def lowrank(
    model: str,
    seeds: str | None,
    latents: str | None,
    psi: float,
    label: int | None,
    region: str | None,
    segment: str | None,
    segments: str | None,
    shared: bool,
    solver: Solver,
    directions: int | None,
    relax: int,
    inverse_weight: float | None,
    iterations: int,
    coordinates: Coordinates,
    channels: Channels | None,
    side: int,
    on_layers: str | None,
    span: float | None,
    rows: int,
    out: Path,
) -> None:
    """Find directions that change a region of images and leave the rest of them alone.

    From the Jacobian of the image by a shift of w: in closed form, of RGB in the layers that edits move; or with
    --solver rpca, as LowRankGAN has it (arXiv 2106.04488), of the mean over RGB in all layers. Writes directions.npz
    (`directions` [n, K, D] of unit length, ranks, null spaces, the model's fingerprint) and sheet.png: images along
    each direction, and where they change.
    """
    if (seeds is None) == (latents is None):
        raise UserError("give either --seeds or --latents")
    choice = RegionChoice.of(region=region, segment=segment, segments=segments, mask=None)
    if not choice:
        raise UserError("give --region or --segment: where the images shall change")
    if latents is not None and (label is not None or coordinates == "z"):
        raise UserError("--label and --coordinates z go with --seeds; latents are mapped already")
    numbers = None if seeds is None else parse_seeds(seeds)
    generator = load(model)
    first, last = chosen_layers(parse_layers(on_layers), generator.config.num_ws)
    moved = list(range(first, last + 1))
    if numbers is None:
        assert latents is not None  # one of the two is there
        ws = load_latents(latents, generator.config)
        names = [f"latent {index}" for index in range(len(ws))]
    else:
        ws = seed_latents(generator, numbers, psi=psi, label=label)
        names = [f"seed {seed}" for seed in numbers]
    reader = RegionReader(generator, species_of(read_card(model)), Path())
    with disk_errors(out, "run the command again"), progress() as bar:
        regions = np.stack([_region(reader, choice, one) for one in bar.track(ws, description="segments")])
        make_folder(out)  # before the work, which may be long
        task = bar.add_task("measuring", total=len(ws))
        found = regional.lowrank(
            generator,
            seeds=numbers,
            latents=ws if numbers is None else None,
            region=regions,
            psi=psi,
            label=label,
            shared=shared,
            coordinates=coordinates,
            channels=channels,
            side=side,
            layers=None if solver == "rpca" or coordinates == "z" else moved,
            solver=solver,
            directions=directions,
            relax=relax,
            weight=None if inverse_weight is None else 1 / inverse_weight,
            iterations=iterations,
            on_progress=lambda done: bar.advance(task, done),
        )
        found.save(out / "directions.npz")
        (out / "sheet.png").unlink(missing_ok=True)  # of earlier directions
        pictured = coordinates == "w" and any(len(each.directions) for each in found.subspaces)
        if pictured:
            save_image(_sheet(generator, found, names, rows, moved, span), out / "sheet.png")
    _tell(found, names)
    click.echo(f"see {out / 'directions.npz'}" + (f", {out / 'sheet.png'}" if pictured else ""))
    if all(each.outcome is Outcome.RANK_ZERO for each in found.subspaces):
        raise UserError(f"no directions were found: {Outcome.RANK_ZERO.advice}")


def _region(reader: RegionReader, choice: RegionChoice, ws: np.ndarray) -> np.ndarray:
    region = reader.region(choice, Latents(ws=ws))
    assert region is not None  # something is chosen
    return region


def _sheet(
    model: Generator, found: RegionDirections, names: list[str], rows: int, layers: list[int], span: float | None
) -> np.ndarray:
    shown = min(len(found.ws), 8)
    directions = np.broadcast_to(found.directions, (len(found.ws), *found.directions.shape[1:]))
    return region_sheet(
        model,
        found.ws[:shown],
        found.regions[:shown],
        directions[:shown, :rows],
        names[:shown],
        layers=layers,
        span=span,
    )


def _tell(found: RegionDirections, names: list[str]) -> None:
    shared = len(found.subspaces) < len(found.ws)
    for name, each in zip([f"all {len(names)} images"] if shared else names, found.subspaces, strict=True):
        line = f"{name}: {len(each.directions)} directions; rank {each.rank_region} inside, {each.rank_rest} outside"
        click.echo(line if each.outcome is Outcome.FOUND else f"{line}; {each.outcome.value}: {each.outcome.advice}")
