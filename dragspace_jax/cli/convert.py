"""`dragspace convert`: a published checkpoint to a model folder."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from dragspace_jax.cli.describe import describe
from dragspace_jax.cli.errors import disk_errors
from dragspace_jax.convert import convert as convert_file


@click.command(
    epilog="\b\nExamples:\n"
    "  dragspace convert stylegan2-ffhq-512x512.pkl models/ffhq\n"
    "  dragspace convert 550000.pt models/church --force\n"
    "  dragspace convert biggan-deep-256 models/biggan"
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace OUT if it is a model folder already.")
@click.option("--with-discriminator", is_flag=True, help="Convert the discriminator too (NVlabs files).")
def convert(source: Path, out: Path, force: bool, with_discriminator: bool) -> None:
    """Turn the checkpoint SOURCE into the model folder OUT.

    SOURCE is an NVlabs pickle (StyleGAN2 in PyTorch or TensorFlow), a .pt of rosinality's StyleGAN2, or a folder of
    pytorch-pretrained-biggan (BigGAN-deep; config.json and pytorch_model.bin); which of them, the files tell. Nothing
    that stands in it is run, and neither PyTorch nor TensorFlow is needed.
    """
    start = time.perf_counter()
    told = Console(stderr=True).status(f"converting {escape(source.name)}")
    with disk_errors(out, "run the command again"), told:
        checkpoint = convert_file(source, out, force=force, with_discriminator=with_discriminator)
    click.echo(f"{checkpoint.format}: {describe(checkpoint.generator.config)}")
    if checkpoint.discriminator is not None:
        click.echo("with its discriminator")
    if "w_avg" in checkpoint.notes:
        samples, seed = (checkpoint.notes["w_avg"][key] for key in ("samples", "seed"))
        click.echo(f"the file has no mean w: computed from {samples:,} samples, seed {seed}")
    click.echo(f"wrote {out} in {time.perf_counter() - start:.1f} s")
    label = " --label 0" if checkpoint.generator.config.c_dim else ""
    click.echo(f"next: dragspace generate --model {out} --seeds 0-15{label} --out images")
