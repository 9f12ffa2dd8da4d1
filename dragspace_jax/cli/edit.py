"""`dragspace edit`: move an image along directions of W, or by style channels."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from dragspace_jax.analysis.directions import Directions, read_directions
from dragspace_jax.analysis.moves import (
    LAYERS,
    Keeper,
    Move,
    at_positions,
    channel_move,
    chosen_layers,
    direction_move,
    keeper,
    moved,
    stacked,
)
from dragspace_jax.analysis.styles import StyleStatistics, channel_of, style_statistics
from dragspace_jax.batch.regions import RegionChoice, RegionReader
from dragspace_jax.checkpoint import load, read_card
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.cli.edit_inputs import Aim, parse_aim, parse_layers, parse_positions, parse_within
from dragspace_jax.cli.errors import UserError, disk_errors
from dragspace_jax.critters.evaluator import species_of
from dragspace_jax.folders import locked, make_folder, refuse_results, whole_file
from dragspace_jax.inputs import read_latents, seed_latents
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.results import save_image, write_latents
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.viz.edits import edit_pictures, one, position_sheet

FILES = ("before.png", "after.png", "change.png", "sheet.png", "latents.npz")
POSITIONS = "-4:4:7"

_EXAMPLES = """\b
Examples:
  dragspace edit --model critters-dog --seed 13 --direction out/pca/dog.npz:0=2 --on-layers 0-5 --out out/more
  dragspace edit --model critters-dog --seed 13 --direction out/pca/dog.npz:0 --direction out/pca/dog.npz:1 --out out/sheet
  dragspace edit --model critters-cat --seed 7 --channel b16.conv1:12=8 --channel 9:3=-5 --out out/channels
  dragspace edit --model critters-cat --latents out/channels/latents.npz --channel b32.conv0:4 --out out/next.png
  dragspace edit --model critters-dog --seed 13 --direction boundary.npy:0=3 --within eye --out out/eye
"""  # noqa: E501  # a command is one line


@click.command(epilog=_EXAMPLES)
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the image, as in the published tools.")
@click.option("--psi", default=0.7, show_default=True, help="Truncation of the seed's latent; 1 is none.")
@click.option("--latents", help="Latents instead of a seed: .npy, or .npz with `ws`; [L, D] or [1, L, D].")
@click.option("--label", type=int, help="Class of the seed's image and of samples, for a model with classes.")
@click.option("--direction", "directions", metavar="F:K[=VALUE]", multiple=True,
              help="Direction K, from 0, of directions.npz of `lowrank`, of a basis of `fit-pca`, or of a .npy [K, D]. "
              "VALUE counts multiples of the direction as it stands; of a basis, standard deviations. Several add up; "
              "one without VALUE becomes a row of a sheet.")  # fmt: skip
@click.option("--image", type=click.IntRange(0), help="Of the images whose directions `lowrank` measured, from 0 "
              "[default: the first, or what they share].")  # fmt: skip
@click.option("--channel", "channels", metavar="LAYER:INDEX[=VALUE]", multiple=True,
              help="A style channel: b16.conv1:501, or by the layer's published number, which counts ToRGB, 6:501. "
              "VALUE counts its standard deviations over the model's samples.")  # fmt: skip
@click.option("--on-layers", metavar="FIRST-LAST", help="Layers of W+, from 0, that directions move "
              f"[default: {LAYERS[0]}-{LAYERS[1]}, or as many as there are].")  # fmt: skip
@click.option("--positions", metavar="FROM:TO:STEPS", default=POSITIONS, show_default=True,
              help="Of what has no VALUE.")  # fmt: skip
@click.option("--within", metavar="REGION", help="Keep directions to what they do in a region of this image: "
              "a box x,y,w,h, what is white in a picture, or segments NAME[,NAME].")  # fmt: skip
@click.option("--segments", metavar="FILE", help="A label map, for --within with its ids.")
@click.option("--out", type=click.Path(path_type=Path), required=True,
              help="Folder for the results; or NAME.png, for the edited picture, or the sheet, alone.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace what an earlier edit left.")
@with_device
def edit(
    model: str,
    seed: int | None,
    psi: float,
    latents: str | None,
    label: int | None,
    directions: tuple[str, ...],
    image: int | None,
    channels: tuple[str, ...],
    on_layers: str | None,
    positions: str,
    within: str | None,
    segments: str | None,
    out: Path,
    overwrite: bool,
) -> None:
    """Move an image along directions of W, and by style channels.

    With values: one edit, all of them added up. Writes before.png, after.png, change.png (the mean squared change),
    sheet.png (the three), and latents.npz, for --latents of every command. Without: sheet.png, a row each and a column
    a position, and latents.npz of all its images, in order. Some with and some without: rows begin at the edited image.
    """
    if (seed is None) == (latents is None):
        raise UserError("give either --seed or --latents")
    if not directions and not channels:
        raise UserError("give --direction or --channel: how to edit")
    if (within is not None or on_layers is not None) and not directions:
        raise UserError("--within and --on-layers need --direction; channels stay as they are")
    if image is not None and not directions:
        raise UserError("--image needs --direction")
    aims = [parse_aim("--direction", text) for text in directions]
    aims += [parse_aim("--channel", text) for text in channels]
    places = parse_positions(positions)
    region_choice = None if within is None else parse_within(within, segments)
    if segments is not None and region_choice is None:
        raise UserError("--segments needs --within: which of its ids may change")
    alone = out.suffix.lower() == ".png"
    files = [out] if alone else [out / name for name in FILES]
    refuse_results(files, overwrite=overwrite)  # before the model is read
    generator = load(model)
    for aim in aims:
        if aim.option == "--channel":  # before anything is measured
            channel_of(generator, aim.of, aim.index)
    layers = chosen_layers(parse_layers(on_layers), generator.config.num_ws)
    if seed is not None:
        start = Latents(ws=seed_latents(generator, [seed], psi=psi, label=label)[0])
    else:
        assert latents is not None  # one of the two is there
        start = read_latents(latents, generator)
    known = {aim.of: read_directions(aim.of, generator, image=image) for aim in aims if aim.option == "--direction"}
    region = _region(generator, model, region_choice, start)
    with disk_errors(out, "run the command again with --overwrite"), progress() as bar:
        kept = None if region is None else keeper(generator, start, region, layers)
        moves = _moves(generator, aims, known, layers, kept, label)
        valued = [(move, aim.value) for move, aim in zip(moves, aims, strict=True) if aim.value is not None]
        end = generator.check_latents(moved(start, valued))
        rows = [move for move, aim in zip(moves, aims, strict=True) if aim.value is None]
        along = at_positions(end, rows, places) if rows else None
        pictures: dict[str, np.ndarray] = {}
        told = f"a sheet of {len(rows)} × {len(places)} images"
        if valued:
            found_pictures = edit_pictures(generator, stacked([start, end]), region)
            pictures |= found_pictures.named()
            told = found_pictures.told()
        if along is not None:
            task = bar.add_task("rendering", total=len(along.ws))
            pictures["sheet.png"] = position_sheet(
                generator,
                one(end),
                along,
                rows=[move.name.replace(":", "\n") for move in rows],
                columns=[_column(rows, place) for place in places],
                region=region,
                on_progress=lambda done: bar.update(task, completed=done),
            )
        if alone:
            make_folder(out.parent)
            save_image(pictures["sheet.png" if rows else "after.png"], out)
        else:
            with locked(out):
                refuse_results(files, overwrite=overwrite)
                for path in files:
                    path.unlink(missing_ok=True)  # of an earlier edit
                for name, picture in pictures.items():
                    save_image(picture, out / name)
                _write(generator, out / "latents.npz", start, end, along)
    click.echo(f"{told}; see {out}")


def _region(generator: Generator, model: str, choice: RegionChoice | None, start: Latents) -> np.ndarray | None:
    if choice is None:
        return None
    return RegionReader(generator, species_of(read_card(model)), Path()).region(choice, start)


def _moves(
    model: Generator,
    aims: list[Aim],
    known: dict[str, Directions],
    layers: tuple[int, int],
    within: Keeper | None,
    label: int | None,
) -> list[Move]:
    """One unit of everything that is asked for; `known` are the files. Channels are measured once, if there are any."""
    statistics: StyleStatistics | None = None
    moves = []
    for aim in aims:
        if aim.option == "--direction":
            moves.append(direction_move(model, known[aim.of], aim.index, layers, within=within))
        else:
            statistics = style_statistics(model, label=label) if statistics is None else statistics
            moves.append(channel_move(model, statistics, aim.of, aim.index))
    return moves


def _column(rows: list[Move], position: float) -> str:
    """A position with its unit, where all rows have the same."""
    if position == 0:
        return "start"
    units = {move.unit for move in rows}
    return f"{position:+.3g} {units.pop() if len(units) == 1 else ''}".strip()


def _write(model: Generator, path: Path, start: Latents, end: Latents, along: Latents | None) -> None:
    """The edited latents; or, if there is a sheet, those of all its images."""
    if along is None:
        write_latents(path, end, start, fingerprint(model))
        return
    with whole_file(path) as file:
        np.savez(file, **along.arrays(), model=np.asarray(fingerprint(model)))  # type: ignore[arg-type]
