"""`dragspace channels`: the style channels that change one region of the image alone."""

from __future__ import annotations

import csv
import importlib
import io
from pathlib import Path
from typing import Any, cast

import click
import numpy as np

from dragspace_jax.analysis.channel_attributes import AttributeChanges, attribute_changes
from dragspace_jax.analysis.channels import (
    PSI,
    Segmentation,
    Tally,
    channel_names,
    heat_maps,
    local_channels,
    pooled_labels,
)
from dragspace_jax.analysis.styles import StyleStatistics, style_statistics
from dragspace_jax.analysis.tally_file import Measured, read_tally, save_tally
from dragspace_jax.checkpoint import load, read_card
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.cli.errors import UserError, disk_errors
from dragspace_jax.critters.evaluator import Evaluator, species_of
from dragspace_jax.critters.segments import CritterRegions
from dragspace_jax.folders import locked, whole_file
from dragspace_jax.inputs import seed_latents
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.results import save_image
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.channel_sheet import ChannelRow, channel_sheet
from dragspace_jax.viz.plots import stacked_bars

_EXAMPLES = """\b
Examples:
  dragspace channels --model critters-dog --images 20 --out out/channels
  dragspace channels --model out/my-model --segmentation my_parser:segment --out out/channels
  dragspace drag --model critters-dog --space channels --channels out/channels/channels.csv:eye …
"""
_COLUMNS = (
    "layer", "index", "number", "resolution", "region", "share", "lead", "inside_over_outside",
    "attribute", "attribute_change", "attribute_dependency",
)  # fmt: skip
_FARTHEST = 50.0  # deviations that a channel of the sheet is moved by, at most
_VISIBLE = 0.3  # mean squared change of the region, in first order, that a row of the sheet goes to


@click.command(epilog=_EXAMPLES)
@click.option("--model", required=True, help="A model folder, or critters-dog, critters-cat.")
@click.option("--images", type=click.IntRange(1), default=100, show_default=True,
              help="Samples to measure; published: 1,000. More go on where fewer ended.")  # fmt: skip
@click.option("--psi", type=click.FloatRange(0.0), default=PSI, show_default=True, help="Their truncation.")
@click.option("--label", type=int, help="Their class, for a model with classes.")
@click.option("--segmentation", metavar="MODULE:NAME",
              help="An object with `names` that is called with images [n,H,W,3] from -1 to 1 and gives indices of "
              "names [n,H,W] [default: what the embedded models' pictures show].")  # fmt: skip
@click.option("--rows", type=click.IntRange(1, 16), default=2, show_default=True,
              help="Channels of a region in the sheet.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Image of the sheet.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@with_device
def channels(
    model: str,
    images: int,
    psi: float,
    label: int | None,
    segmentation: str | None,
    rows: int,
    seed: int,
    out: Path,
) -> None:
    """Find the style channels that act on one region of the image.

    As StyleSpace has it (arXiv 2011.12799, section 4.1): the gradient of the image by each channel, laid over the
    regions of each sample. Writes channels.csv (a line a channel: its region, the share of images that it wins, how
    much it changes inside over outside), sheet.png (the most local channels of each region, moved), regions.png (how
    many there are in each layer) and tally.npz, from which the same command goes on, also to more images.
    """
    generator = load(model)
    species = species_of(read_card(model))
    reader = _segmentation(segmentation, species)
    names = tuple(reader.names)
    measured = Measured(regions=names, model=fingerprint(generator), psi=psi, label=label)
    with disk_errors(out, "run the command again, it goes on"), locked(out), progress() as bar:
        path = out / "tally.npz"
        begun = read_tally(path, measured) if path.exists() else None
        if begun is not None and begun.images > images:
            raise UserError(f"--images {images}: {path} has {begun.images} already; ask for as many, or more")
        task = bar.add_task("images", total=images, completed=0 if begun is None else begun.images)

        def keep(tally: Tally) -> None:
            save_tally(path, tally, measured)
            bar.update(task, completed=tally.images)

        tally = local_channels(generator, reader, images=images, psi=psi, label=label, tally=begun, on_image=keep)
        statistics = style_statistics(generator, label=label)
        changes = None
        if species is not None and label is None:
            changes = attribute_changes(generator, Evaluator.load(species), psi=psi, statistics=statistics)
        with whole_file(out / "channels.csv") as file:
            file.write(_table(generator, names, tally, changes).encode())
        _pictures(
            generator, reader, tally, statistics, rows, seed_latents(generator, [seed], psi=psi, label=label), out
        )
    active = tally.active()
    found = ", ".join(f"{name} {int((active == region).sum())}" for region, name in enumerate(names))
    click.echo(f"{int((active >= 0).sum())} of {len(active)} channels act on one region, by {images} images: {found}")
    click.echo(f"see {', '.join(str(out / name) for name in ('channels.csv', 'sheet.png', 'regions.png'))}")


def _segmentation(given: str | None, species: str | None) -> Segmentation:
    if given is None:
        if species is None:
            raise UserError(
                "--segmentation: only on the embedded models, opened by their names, are regions seen; give a Python "
                "object as MODULE:NAME"
            )
        return CritterRegions()
    module, _, name = given.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"--segmentation {given!r}: {error}; it must be MODULE:NAME of a Python object") from error
    if not callable(found) or not hasattr(found, "names"):
        raise UserError(f"--segmentation {given!r}: it must have `names`, and be called with images")
    return cast(Segmentation, found)


def _table(model: Generator, names: tuple[str, ...], tally: Tally, changes: AttributeChanges | None) -> str:
    """The lines of channels.csv; a channel without a region has what it wins most, and no region."""
    numbers = {name: number for number, name in enumerate(model.synthesis.style_channels())}
    active, lead, shares = tally.active(), tally.lead(), tally.shares
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for k, (layer, index) in enumerate(channel_names(model)):
        best = int(shares[k].argmax())
        ratio = tally.inside[k, best] / tally.outside[k, best] if tally.outside[k, best] > 0 else np.inf
        line = [layer, index, numbers[layer], layer.split(".")[0].removeprefix("b")]
        line += [names[best] if active[k] >= 0 else "", f"{shares[k, best]:.3f}", f"{lead[k]:.3f}", f"{ratio:.4g}"]
        if changes is None:
            line += ["", "", ""]
        else:
            attribute, change, dependency = changes.most(k)
            line += [attribute, f"{change:.4g}", f"{dependency:.4g}"]
        writer.writerow(line)
    return text.getvalue()


def _pictures(
    model: Generator,
    reader: Segmentation,
    tally: Tally,
    statistics: StyleStatistics,
    rows: int,
    ws: np.ndarray,
    out: Path,
) -> None:
    names, active, known = list(reader.names), tally.active(), channel_names(model)
    layers = [name for name in model.synthesis.style_channels() if not name.endswith(".torgb")]
    counts = np.zeros((len(layers), len(names)))
    for (layer, _), region in zip(known, active, strict=True):
        if region >= 0:
            counts[layers.index(layer), region] += 1
    save_image(
        stacked_bars(counts, bars=layers, parts=names, title="channels that act on one region"), out / "regions.png"
    )
    labels = np.asarray(reader(render_images(model, ws)))[0]
    heat = heat_maps(model, ws[0])
    cells = pooled_labels(labels, heat.shape[1], len(names))
    ratios = tally.inside / np.maximum(tally.outside, 1e-30)
    shown = []
    for region, name in enumerate(names):
        if not (cells == region).any():
            continue
        own = np.flatnonzero(active == region)
        strength = np.sqrt(np.mean(np.square(heat[own][:, cells == region], dtype=np.float64), axis=1))
        units = np.array([statistics.deviation[known[k][0]][known[k][1]] for k in own])
        # Those that would have to go beyond what can be seen are the last to be shown, and not so far.
        reach = np.sqrt(_VISIBLE) / np.maximum(strength * units, 1e-12)
        for place in np.lexsort((-ratios[own, region], reach > _FARTHEST))[:rows]:
            k, deviations = own[place], min(float(reach[place]), _FARTHEST)
            layer, index = known[k]
            step = deviations * float(units[place])
            text = f"{name}\n{layer} {index}\n± {deviations:.3g} sd\nin/out {ratios[k, region]:.3g}"
            shown.append(ChannelRow(text=text, channel=(layer, index), step=step, region=labels == region))
    (out / "sheet.png").unlink(missing_ok=True)
    if shown:
        save_image(channel_sheet(model, Latents(ws=ws[0]), shown), out / "sheet.png")
