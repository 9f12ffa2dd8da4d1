"""Train an embedded model (critters-dog, critters-cat) on the procedural animals, supervised; resumable.

    python -m scripts.train_critters dog --work out/train-dog --export dragspace_jax/critters/weights/critters-dog
    python -m scripts.train_critters cat --work out/train-cat --export dragspace_jax/critters/weights/critters-cat \
        --start-from dragspace_jax/critters/weights/critters-dog --stages 64:700:0.008,128:700:0.006

The world is known, so no adversary is needed: G(z) is held to the picture that the renderer draws of entangle(z).
Training climbs through the resolutions (progressive growing, arXiv 1710.10196), each stage a smaller generator whose
parameters the next one takes over. Styles are mixed (arXiv 1812.04948, section 3.1) with a known answer: the coarse
layers follow one latent's geometry, the fine ones another's colours, so that W+ is disentangled the way real
StyleGANs are. Stopped at any moment, the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dragspace_jax.checkpoint import build_generator, load, save_parameters
from dragspace_jax.critters import KINDS, LATENT_DIM, entangle, render
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.renderer import SEGMENTS
from dragspace_jax.stylegan2 import Generator, GeneratorConfig
from dragspace_jax.stylegan2.mapping import Mapping, normalise_second_moment
from dragspace_jax.stylegan2.parameters import parameters
from dragspace_jax.viz.sheets import contact_sheet, to_uint8

COLOURS = ("eye_hue", "fur_hue", "fur_lightness", "patch", "blaze", "background_hue")
COARSE_LAYERS = 6  # W+ layers that follow the geometry: those the published drag loop moves
CHANNELS = {4: 160, 8: 160, 16: 160, 32: 96, 64: 64, 128: 32}
DETAILS = ("eye_left", "eye_right", "muzzle", "nose", "mouth")
DETAIL_WEIGHT = 3.0
W_SCALE = 1 / 16  # of the exported model: the published learning rate of a drag then suits it
Params = Any


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


def targets(kind: str, geometry_z: jax.Array, colour_z: jax.Array, resolution: int) -> tuple[jax.Array, jax.Array]:
    """What the renderer draws: images [B, H, W, 3] and pixel weights [B, H, W, 1] that favour the face's details.

    The mapping network normalises z [B, 32], so the world is asked about the normalised vector as well.
    """
    is_colour = jnp.asarray([name in COLOURS for name in NAMES])
    geometry, colour = (entangle(normalise_second_moment(z)) for z in (geometry_z, colour_z))
    attributes = jnp.where(is_colour[None], colour, geometry)
    # One picture at a time: on a CPU that stays in the cache and takes a third of the time.
    picture = jax.tree.map(
        lambda leaf: leaf[:, 0], jax.lax.map(lambda a: render(kind, a[None], resolution), attributes)
    )
    detail = jnp.isin(picture.segmentation, jnp.asarray([SEGMENTS.index(name) for name in DETAILS]))
    return picture.image, 1.0 + DETAIL_WEIGHT * detail.astype(jnp.float32)[..., None]


def loss(images: jax.Array, wanted: jax.Array, weight: jax.Array) -> jax.Array:
    """Weighted mean absolute error of images [B, H, W, 3] and, for sharp edges, of their finite differences."""
    error = images - wanted
    total = jnp.mean(weight * jnp.abs(error))
    for axis in (1, 2):
        total += 0.5 * jnp.mean(jax.lax.slice_in_dim(weight, 1, None, axis=axis) * jnp.abs(jnp.diff(error, axis=axis)))
    return total


def fit_mapping(mapping: Mapping, *, steps: int, batch: int = 512, rate: float = 2e-2) -> Mapping:
    """Teach the mapping network, before any picture, a w [D] of which every attribute is a linear function.

    The entangling map is hard to learn through pictures and easy to learn by itself. At the end w is scaled to unit
    mean square, which the last layer's homogeneous activation allows, so that the synthesis starts well.
    """
    known = entangle(normalise_second_moment(jax.random.normal(jax.random.key(0), (20_000, LATENT_DIM))))
    mean, deviation = known.mean(0)[None], known.std(0)[None]
    graph, params = nnx.split(mapping)
    trainable = (params, jnp.zeros((stage_config(8).w_dim, known.shape[1])))
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def objective(trainable: Params, z: jax.Array) -> jax.Array:
        w = nnx.merge(graph, trainable[0]).trunk(z, None)
        wanted = (entangle(normalise_second_moment(z)) - mean) / deviation
        return jnp.mean(jnp.square(jnp.matmul(w, trainable[1]) - wanted))

    def step(carry: tuple, index: jax.Array) -> tuple[tuple, jax.Array]:
        trainable, state = carry
        z = jax.random.normal(jax.random.fold_in(jax.random.key(1), index), (batch, LATENT_DIM))
        value, gradient = jax.value_and_grad(objective)(trainable, z)
        updates, state = optimiser.update(gradient, state, trainable)
        return (optax.apply_updates(trainable, updates), state), value

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, jnp.arange(steps)))
    ((params, _), _), values = run((trainable, optimiser.init(trainable)))
    click.echo(f"mapping: {100 * float(values[-100:].mean()):.1f} % of the attributes' variance unexplained")
    fitted = nnx.merge(graph, params)
    z = jax.random.normal(jax.random.key(2), (5_000, LATENT_DIM))
    scale = jnp.sqrt(jnp.mean(jnp.square(fitted.trunk(z, None))))
    last = getattr(fitted, f"fc{fitted.layers - 1}")
    last.weight[...] = last.weight[...] / scale
    last.bias[...] = last.bias[...] / scale
    return fitted


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One rung: `steps` optimiser steps at `resolution`, the learning rate falling from `rate` by a cosine."""

    resolution: int
    steps: int
    rate: float


def make_step(kind: str, stage: Stage, batch: int, optimiser: optax.GradientTransformation, seed: int) -> Callable:
    """The compiled step: (graph, params, optimiser state, step) → (params, optimiser state, loss)."""

    def objective(params: Params, graph: nnx.GraphDef, step: jax.Array) -> jax.Array:
        generator = nnx.merge(graph, *params)
        z, other, mixed = jax.random.split(jax.random.fold_in(jax.random.key(seed), step), 3)
        geometry_z = jax.random.normal(z, (batch, LATENT_DIM))
        mix = jax.random.bernoulli(mixed, 0.5, (batch, 1))
        colour_z = jnp.where(mix, jax.random.normal(other, (batch, LATENT_DIM)), geometry_z)
        coarse, fine = generator.mapping(geometry_z), generator.mapping(colour_z)
        layer = jnp.arange(coarse.shape[1])[None, :, None]
        images = generator.synthesis(jnp.where(layer < COARSE_LAYERS, coarse, fine)).image
        return loss(images, *jax.lax.stop_gradient(targets(kind, geometry_z, colour_z, stage.resolution)))

    def step(params: Params, state: optax.OptState, graph: nnx.GraphDef, index: jax.Array) -> tuple:
        trainable, buffers = params
        value, gradient = jax.value_and_grad(lambda p: objective((p, buffers), graph, index))(trainable)
        updates, state = optimiser.update(gradient, state, trainable)
        return (optax.apply_updates(trainable, updates), buffers), state, value

    return jax.jit(step, static_argnums=2, donate_argnums=(0, 1))


def quality(generator: Generator, kind: str) -> float:
    """Mean PSNR in dB against the renderer on 64 held-out latents (peak to peak 2)."""
    z = jax.random.normal(jax.random.key(2**31 - 1), (64, LATENT_DIM))
    wanted, _ = jax.jit(targets, static_argnums=(0, 3))(kind, z, z, generator.config.resolution)
    images = jax.jit(lambda g, z: g(z))(generator, z)
    return float(jnp.mean(10 * jnp.log10(4.0 / jnp.mean(jnp.square(images - wanted), (1, 2, 3)))))


def save_sheet(path: Path, generator: Generator, kind: str) -> None:
    """64 samples at psi 1 on the left, what the renderer draws of the same latents on the right."""
    z = jax.random.normal(jax.random.key(7), (64, LATENT_DIM))
    wanted, _ = jax.jit(targets, static_argnums=(0, 3))(kind, z, z, generator.config.resolution)
    both = (jax.jit(lambda g, z: g(z))(generator, z), wanted)
    sheets = [contact_sheet(to_uint8(np.asarray(images)), columns=8, padding=0) for images in both]
    Image.fromarray(np.concatenate(sheets, 1)).save(path)


def scale_w(values: dict[str, Any], factor: float, layers: int) -> dict[str, Any]:
    """The same network with a W `factor` times as large: parameters by name, number of mapping layers.

    The last mapping layer's activation is homogeneous, and the affine maps undo what it does.
    """
    larger = (f"mapping.fc{layers - 1}.weight", f"mapping.fc{layers - 1}.bias", "mapping.w_avg")
    scaled = {name: value * factor for name, value in values.items() if name in larger}
    scaled |= {name: value / factor for name, value in values.items() if name.endswith("affine.weight")}
    return {**values, **scaled}


def export(folder: Path, generator: Generator, kind: str, decibels: float, stages: list[Stage]) -> None:
    """Set w_avg to the mean of 100,000 latents and write the model folder in float16."""
    z = jax.random.normal(jax.random.key(0), (100_000, LATENT_DIM))
    values = {name: np.asarray(value) for name, value in parameters(generator).items()}
    values["mapping.w_avg"] = np.asarray(jnp.mean(generator.mapping.trunk(z, None), 0))
    values = scale_w(values, W_SCALE, generator.config.mapping_layers)
    digest = hashlib.sha256(b"".join(values[name].tobytes() for name in sorted(values))).hexdigest()
    recipe = {"kind": kind, "psnr_db": round(decibels, 2), "stages": [dataclasses.asdict(s) for s in stages]}
    half = {name: value.astype(np.float16) for name, value in values.items()}
    save_parameters(folder, generator.config, half, source={"format": "trained", "sha256": digest, **recipe})


def parse_stages(text: str) -> list[Stage]:
    """ "32:1000:0.02,64:500:0.01" → stages. Raises click.BadParameter if it is not of this form."""
    try:
        parts = (part.split(":") for part in text.split(","))
        return [Stage(resolution=int(side), steps=int(steps), rate=float(rate)) for side, steps, rate in parts]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not like 32:1000:0.02,64:500:0.01") from error


def train_stage(
    generator: Generator, stage: Stage, manager: ocp.CheckpointManager, kind: str, batch: int, seed: int
) -> Generator:
    """Run one stage from its last checkpoint, if any, to its end."""
    warmup = min(100, stage.steps // 4)
    schedule = optax.warmup_cosine_decay_schedule(0.0, stage.rate, warmup, stage.steps, stage.rate * 0.02)
    optimiser = optax.adam(schedule, b1=0.9, b2=0.99)
    graph, trainable, buffers = nnx.split(generator, nnx.Param, ...)
    state = {"params": (trainable, buffers), "optimiser": optimiser.init(trainable)}
    start = manager.latest_step()
    if start is not None:
        state = manager.restore(start, args=ocp.args.StandardRestore(state))
    params, optimiser_state = state["params"], state["optimiser"]
    step = make_step(kind, stage, batch, optimiser, seed + stage.resolution)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(f"{kind} {stage.resolution} px", total=stage.steps, completed=start or 0)
        for index in range(start or 0, stage.steps):
            params, optimiser_state, value = step(params, optimiser_state, graph, jnp.int32(index))
            progress.update(task, advance=1)
            if (index + 1) % 100 == 0 or index + 1 == stage.steps:
                progress.console.print(f"{kind} {stage.resolution} px, step {index + 1}: loss {float(value):.4f}")
            if (index + 1) % 200 == 0 or index + 1 == stage.steps:
                kept = {"params": params, "optimiser": optimiser_state}
                manager.save(index + 1, args=ocp.args.StandardSave(kept))
                manager.wait_until_finished()
    return nnx.merge(graph, *params)


@click.command(context_settings={"show_default": True})
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of checkpoints and sheets.")
@click.option("--export", "export_to", type=click.Path(path_type=Path), required=True, help="Model folder to write.")
@click.option("--start-from", type=str, default=None, help="A trained model to fine-tune.")
@click.option("--mapping-steps", default=20000, help="Steps of the mapping network's own training, unless fine-tuning.")
@click.option("--stages", default="32:1500:0.02,64:2500:0.015,128:1100:0.008", help="resolution:steps:rate, in order.")
@click.option("--batch", default=16, help="Images a step.")
@click.option("--seed", default=0, help="Seed of the latents and of the initial weights.")
def main(
    kind: str,
    work: Path,
    export_to: Path,
    start_from: str | None,
    mapping_steps: int,
    stages: str,
    batch: int,
    seed: int,
) -> None:
    """Train the KIND (dog, cat) model and write it as a model folder."""
    known: dict[str, Any] = {}
    if start_from is not None:
        trained = load(start_from)
        known = scale_w(parameters(trained), 1 / W_SCALE, trained.config.mapping_layers)
    plan = parse_stages(stages)
    generator: Generator | None = None
    for number, stage in enumerate(plan):
        generator = grow(stage_config(stage.resolution), known, seed + number)
        if not known:
            generator.mapping = fit_mapping(generator.mapping, steps=mapping_steps)
        folder = (work / f"stage{number}-{stage.resolution}px").absolute()
        with ocp.CheckpointManager(folder, options=ocp.CheckpointManagerOptions(max_to_keep=1)) as manager:
            generator = train_stage(generator, stage, manager, kind, batch, seed)
        decibels = quality(generator, kind)
        click.echo(f"{kind} {stage.resolution} px: {decibels:.2f} dB on held-out latents")
        save_sheet(work / f"sheet-{number}-{stage.resolution}px.png", generator, kind)
        export(export_to, generator, kind, decibels, plan[: number + 1])
        known = {**known, **parameters(generator)}


if __name__ == "__main__":
    main()
