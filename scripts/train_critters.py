"""Train an embedded model (critters-dog, critters-cat) on the procedural animals, supervised; resumable.

    python -m scripts.train_critters dog --work out/train-dog --export dragspace_jax/critters/weights/critters-dog \
        --start-from critters-dog --stages 64:22m:0.01,128:36m:0.005,128:19m:0.004
    python -m scripts.train_critters cat --work out/train-cat --export dragspace_jax/critters/weights/critters-cat \
        --start-from critters-cat --mapping-of critters-dog --stages 64:22m:0.01,128:36m:0.005,128:19m:0.004

These made the weights in the repository from the ones before (commit 12ef824), 80 minutes side by side on 2 busy cores;
only the first 8 % of the dog's second stage and 4 % of the cat's had a rate of 0.008, which was too high, and the last
stage was a run of its own (`--seed 77`).
docs/embedded-models.md says what they reached, and how far more time would go. Neither a GPU nor training from nothing
(without --start-from) has been tried with this optimiser.

The world is known, so no adversary is needed: G(z) is held to the picture that the renderer draws of entangle(z). The
mapping is fitted first, by itself (`critter_mapping`), and held. Training climbs through the resolutions (progressive
growing, arXiv 1710.10196), each stage a smaller generator whose parameters the next one takes over. Styles are mixed
(arXiv 1812.04948, section 3.1) with a known answer: the coarse layers follow one latent's geometry, the fine ones
another's colours, so that W+ is disentangled the way real StyleGANs are. It needs PyTorch (`critter_synthesis` says
why). Stopped at any moment, the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from PIL import Image

from dragspace_jax.building import build_generator
from dragspace_jax.checkpoint import load, save_parameters
from dragspace_jax.critters import KINDS, LATENT_DIM, render
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.stylegan2 import Generator, GeneratorConfig
from dragspace_jax.stylegan2.mapping import Mapping
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.sheets import contact_sheet, to_uint8
from scripts.critter_descent import Descent, Stage, Values
from scripts.critter_mapping import fit_mapping
from scripts.critter_pictures import attributes_of, drawing, latents, picture_loss
from scripts.critter_synthesis import synthesise

COARSE_LAYERS = 6  # W+ layers that follow the geometry: those the published drag loop moves
CHANNELS = {4: 160, 8: 160, 16: 160, 32: 96, 64: 64, 128: 32}
NEAR_W = 0.1  # weight of the change of w where a trained mapping is fitted again
W_SCALE = 1 / 16  # of the exported model: the published learning rate of a drag then suits it
SYNTHESIS = "synthesis."
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def stage_config(resolution: int) -> GeneratorConfig:
    """The generator of one stage; without noise, since the renderer has none."""
    return GeneratorConfig(
        resolution=resolution,
        channels=tuple(c for r, c in CHANNELS.items() if r <= resolution),
        z_dim=LATENT_DIM,
        w_dim=128,
        mapping_layers=4,
        mapping_features=256,
        mapping_lr_multiplier=1.0,
        use_noise=False,
    )


def grow(config: GeneratorConfig, smaller: dict[str, jax.Array], seed: int) -> Generator:
    """A generator of `config` that starts from a smaller one's parameters; new ToRGB layers start at zero."""
    fresh = parameters(Generator(config, rngs=nnx.Rngs(seed)))
    fresh = {n: v * 0.0 if n.endswith("torgb.weight") else v for n, v in fresh.items()}
    return build_generator(config, {n: smaller.get(n, v) for n, v in fresh.items()})


def batches(kind: str, resolution: int, batch: int, seed: int, mapping: Mapping) -> Callable[[int], Batch]:
    """Step → what is trained on in it: W+ [B, L, D], drawings [B, H, W, 3], weights [B, H, W, 1]."""

    def make(step: jax.Array) -> tuple[jax.Array, ...]:
        geometry_z, colour_z = latents(jax.random.fold_in(jax.random.key(seed), step), batch)
        coarse, fine = mapping(geometry_z), mapping(colour_z)
        layer = jnp.arange(coarse.shape[1])[None, :, None]
        drawn = jax.lax.map(lambda a: drawing(kind, a, resolution), attributes_of(geometry_z, colour_z))
        return jnp.where(layer < COARSE_LAYERS, coarse, fine), *drawn

    compiled = jax.jit(make)
    return lambda step: tuple(torch.tensor(np.asarray(each)) for each in compiled(jnp.int32(step)))  # type: ignore[return-value]


def synthesis_values(generator: Generator) -> Values:
    """The synthesis' parameters by name, for `critter_synthesis`."""
    known = parameters(generator).items()
    return {n.removeprefix(SYNTHESIS): torch.tensor(np.asarray(v)) for n, v in known if n.startswith(SYNTHESIS)}


def with_synthesis(generator: Generator, values: Values) -> Generator:
    """The same generator with these parameters of the synthesis."""
    changed = {SYNTHESIS + name: jnp.asarray(value.numpy()) for name, value in values.items()}
    return build_generator(generator.config, {**parameters(generator), **changed})


def quality(generator: Generator, kind: str) -> tuple[float, np.ndarray]:
    """Mean squared error to the drawings of 64 held-out latents, and a sheet: samples left, drawings right."""
    z = jax.random.normal(jax.random.key(2**31 - 1), (64, LATENT_DIM))
    one = jax.jit(lambda a: render(kind, a[None], generator.config.resolution).image[0])
    wanted = np.stack([np.asarray(one(a)) for a in attributes_of(z, z)])
    images = render_images(generator, np.asarray(generator.mapping(z)))
    sheets = [contact_sheet(to_uint8(pictures), columns=8, padding=0) for pictures in (images, wanted)]
    return float(np.mean(np.square(images - wanted))), np.concatenate(sheets, 1)


def scale_w(values: dict[str, Any], factor: float, layers: int) -> dict[str, Any]:
    """The same network with a W `factor` times as large: parameters by name, number of mapping layers.

    The last mapping layer's activation is homogeneous, and the affine maps undo what it does.
    """
    larger = (f"mapping.fc{layers - 1}.weight", f"mapping.fc{layers - 1}.bias", "mapping.w_avg")
    scaled = {name: value * factor for name, value in values.items() if name in larger}
    scaled |= {name: value / factor for name, value in values.items() if name.endswith("affine.weight")}
    return {**values, **scaled}


def export(folder: Path, generator: Generator, kind: str, error: float, stages: list[Stage]) -> None:
    """Set w_avg to the mean of 100,000 latents and write the model folder in float16."""
    z = jax.random.normal(jax.random.key(0), (100_000, LATENT_DIM))
    values = {name: np.asarray(value) for name, value in parameters(generator).items()}
    values["mapping.w_avg"] = np.asarray(jnp.mean(generator.mapping.trunk(z, None), 0))
    values = scale_w(values, W_SCALE, generator.config.mapping_layers)
    digest = hashlib.sha256(b"".join(values[name].tobytes() for name in sorted(values))).hexdigest()
    recipe = {"kind": kind, "squared_error": round(error, 5), "stages": [dataclasses.asdict(s) for s in stages]}
    half = {name: value.astype(np.float16) for name, value in values.items()}
    save_parameters(folder, generator.config, half, source={"format": "trained", "sha256": digest, **recipe})


def parse_stages(text: str) -> list[Stage]:
    """ "32:1000:0.02,128:90m:0.01" → stages, of 1,000 steps and of 90 minutes.

    Raises click.BadParameter if it is not of this form.
    """
    try:
        return [parse_stage(*part.split(":")) for part in text.split(",")]
    except (ValueError, TypeError) as error:
        raise click.BadParameter(f"{text!r} is not like 32:1000:0.02,128:90m:0.01") from error


def parse_stage(side: str, length: str, rate: str) -> Stage:
    """A stage of its three parts, "90m" being minutes."""
    if length.endswith("m"):
        return Stage(resolution=int(side), rate=float(rate), minutes=float(length[:-1]))
    return Stage(resolution=int(side), rate=float(rate), steps=int(length))


def train_stage(generator: Generator, stage: Stage, path: Path, kind: str, batch: int, seed: int) -> Generator:
    """Run one stage from its checkpoint, if any, to its end; the result has the averaged parameters."""
    descent, seconds = Descent(synthesis_values(generator)), 0.0
    if path.exists():
        kept = torch.load(path)
        descent.restore(kept["descent"])
        seconds = kept["seconds"]
    batch_of = batches(kind, stage.resolution, batch, seed, generator.mapping)
    recent: list[float] = []
    last = time.monotonic()
    while (share := stage.share(descent.steps, seconds)) < 1.0:
        ws, wanted, weight = batch_of(descent.steps)
        loss = picture_loss(synthesise(descent.values, ws), wanted, weight)
        loss.backward()
        descent.step(stage.rate_at(share))
        recent.append(loss.item())
        now = time.monotonic()
        seconds, last = seconds + now - last, now
        share = stage.share(descent.steps, seconds)
        if descent.steps % 50 == 0 or share >= 1.0:
            torch.save({"descent": descent.state(), "seconds": seconds}, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
            click.echo(f"{time.strftime('%H:%M:%S')} {kind} {stage.resolution} px, step {descent.steps} ({share:.0%}): "
                       f"{np.mean(recent):.4f}")  # fmt: skip
            recent.clear()
    return with_synthesis(generator, descent.average)


def prepared_mapping(generator: Generator, work: Path, steps: int, *, trained: bool) -> Mapping:
    """The mapping fitted by itself, kept in the work folder; a trained one stays near what it was."""
    path = work / "mapping.npz"
    if not path.exists():
        fitted = fit_mapping(generator.mapping, steps=steps, near=NEAR_W if trained else 0.0)
        np.savez(path, **{name: np.asarray(value) for name, value in parameters(fitted).items()})  # type: ignore[arg-type]
    with np.load(path) as kept:
        values = {f"mapping.{name}": jnp.asarray(value) for name, value in kept.items()}
    return build_generator(generator.config, {**parameters(generator), **values}).mapping


def full_scale(folder: str) -> dict[str, Any]:
    """Parameters of an exported model by name, its W of unit mean square again."""
    model = load(folder)
    return scale_w(parameters(model), 1 / W_SCALE, model.config.mapping_layers)


@click.command(context_settings={"show_default": True})
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of checkpoints and sheets.")
@click.option("--export", "export_to", type=click.Path(path_type=Path), required=True, help="Model folder to write.")
@click.option("--start-from", type=str, default=None, help="A trained model to go on from.")
@click.option("--mapping-of", type=str, default=None, help="A model whose mapping is taken over, not fitted anew.")
@click.option("--mapping-steps", default=6000, help="Steps of the mapping network's own training.")
@click.option(
    "--stages", default="32:1200:0.01,64:1600:0.01,128:2000:0.005", help="resolution:steps:rate, or :minutes (60m)."
)
@click.option("--batch", default=8, help="Images a step.")
@click.option("--seed", default=0, help="Seed of the latents and of the initial weights.")
def main(
    kind: str,
    work: Path,
    export_to: Path,
    start_from: str | None,
    mapping_of: str | None,
    mapping_steps: int,
    stages: str,
    batch: int,
    seed: int,
) -> None:
    """Train the KIND (dog, cat) model and write it as a model folder."""
    work.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = {} if start_from is None else full_scale(start_from)
    if mapping_of is not None:
        known |= {name: value for name, value in full_scale(mapping_of).items() if name.startswith("mapping.")}
    plan = parse_stages(stages)
    for number, stage in enumerate(plan):
        generator = grow(stage_config(stage.resolution), known, seed + number)
        if number == 0 and mapping_of is None:
            generator.mapping = prepared_mapping(generator, work, mapping_steps, trained=bool(known))
        path = work / f"stage{number}-{stage.resolution}px.pt"
        generator = train_stage(generator, stage, path, kind, batch, seed + 1000 * number)
        error, sheet = quality(generator, kind)
        click.echo(f"{kind} {stage.resolution} px: squared error {error:.5f} on held-out latents")
        Image.fromarray(sheet).save(work / f"sheet-{number}-{stage.resolution}px.png")
        export(export_to, generator, kind, error, plan[: number + 1])
        known = {**known, **parameters(generator)}


if __name__ == "__main__":
    main()
