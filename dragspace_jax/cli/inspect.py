"""`dragspace inspect`: what a model folder or a checkpoint holds, without writing anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dragspace_jax.biggan import BigGANConfig
from dragspace_jax.checkpoint import read_card
from dragspace_jax.cli.describe import architecture, parameter_count
from dragspace_jax.convert import opened, sha256, weights_file
from dragspace_jax.stylegan2.config import GeneratorConfig


def _of_source(path: Path) -> dict[str, Any]:
    weights = weights_file(path)
    with Console(stderr=True).status(f"reading {escape(path.name)}"), opened(path) as checkpoint:
        return {
            "kind": "checkpoint",
            "source": {
                "format": checkpoint.format,
                "sha256": sha256(weights),
                "file": weights.name,
                **checkpoint.notes,
            },
            "family": _family(checkpoint.generator.config),
            "generator": checkpoint.generator.config.to_json(),
            "generator_parameters": parameter_count(checkpoint.generator.config),
            "discriminator": "in the file" if checkpoint.has_discriminator else None,
        }


def _of_model(model: str) -> dict[str, Any]:
    card = read_card(model)
    return {
        "kind": "model folder",
        "source": card.source,
        "family": _family(card.generator),
        "generator": card.generator.to_json(),
        "generator_parameters": parameter_count(card.generator),
        "discriminator": None if card.discriminator is None else card.discriminator.to_json(),
    }


def _family(config: GeneratorConfig | BigGANConfig) -> str:
    return "biggan" if isinstance(config, BigGANConfig) else "stylegan2"


def _mean_w(facts: dict[str, Any]) -> str:
    if "w_avg" not in facts["source"]:
        return "present"
    samples, seed = (facts["source"]["w_avg"][key] for key in ("samples", "seed"))
    missing = "missing in the file; " if facts["kind"] == "checkpoint" else ""
    return f"{missing}computed from {samples:,} samples, seed {seed}"


def _rows(name: str, facts: dict[str, Any]) -> dict[str, str]:
    source, discriminator, parameters = facts["source"], facts["discriminator"], facts["generator_parameters"]
    return {
        "name": name,
        "kind": facts["kind"],
        "source": source.get("format", "unknown"),
        "SHA-256 of the source": source.get("sha256", "unknown"),
        **(_biggan_rows(facts) if facts["family"] == "biggan" else _stylegan2_rows(facts)),
        "parameters": f"{parameters:,}",
        "discriminator": discriminator if isinstance(discriminator, str) else "yes" if discriminator else "none",
    }


def _stylegan2_rows(facts: dict[str, Any]) -> dict[str, str]:
    generator = GeneratorConfig.from_json(facts["generator"])
    blocks = zip(generator.block_resolutions, generator.channels, strict=True)
    return {
        "resolution": f"{generator.resolution} px",
        "architecture": generator.architecture,
        "channels": ", ".join(f"{channels} at {resolution}" for resolution, channels in blocks),
        "z, w": f"{generator.z_dim}, {generator.w_dim} wide; {generator.num_ws} layers of W+",
        "mapping": f"{generator.mapping_layers} layers",
        "labels": f"{generator.c_dim} classes" if generator.c_dim else "none",
        "noise": "yes" if generator.use_noise else "no",
        "clamp": "none" if generator.conv_clamp is None else f"{generator.conv_clamp:g}",
        "resample filter": ", ".join(f"{tap:g}" for tap in generator.resample_filter),
        "mean w": _mean_w(facts),
    }


def _biggan_rows(facts: dict[str, Any]) -> dict[str, str]:
    generator = BigGANConfig.from_json(facts["generator"])
    sides = [(side, generator.block_channels(side)) for side in generator.block_resolutions]
    attention = f"before block {generator.attention_layer_position}, {len(generator.layers)} blocks in all"
    return {
        "resolution": f"{generator.resolution} px",
        "architecture": architecture(generator),
        "channels": ", ".join(f"{channels} at {side}" for side, channels in sides),
        "z": f"{generator.z_dim} wide, the class embedding as well",
        "labels": f"{generator.num_classes} classes",
        "self-attention": attention if generator.has_attention else "none",
        "statistics": f"{generator.n_stats} truncations, from 0 to 1",
    }


@click.command()
@click.argument("model_or_source")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def inspect(model_or_source: str, as_json: bool) -> None:
    """Show what a model folder, an embedded model or a published checkpoint holds.

    A checkpoint is read as `dragspace convert` reads it, so what it would refuse is refused here.
    """
    path = Path(model_or_source)
    facts = _of_source(path) if weights_file(path).is_file() else _of_model(model_or_source)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    for label, value in _rows(model_or_source, facts).items():
        table.add_row(label, escape(value))
    Console(highlight=False).print(table)
