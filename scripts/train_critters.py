"""Train an embedded model (critters-dog, critters-cat) on the procedural animals, supervised; resumable.

    python -m scripts.train_critters dog --work out/train-dog --export dragspace_jax/critters/weights/critters-dog
    python -m scripts.train_critters cat --work out/train-cat --export dragspace_jax/critters/weights/critters-cat \
        --start-from dragspace_jax/critters/weights/critters-dog --stages 64:700:0.008,128:700:0.006

The world is known, so no adversary is needed: G(z) is held to the picture that the renderer draws of entangle(z).
Training climbs through the resolutions (progressive growing, arXiv 1710.10196), each stage a smaller generator whose
parameters the next one takes over. Styles are mixed (arXiv 1812.04948, section 3.1) with a known answer: the coarse
layers follow one latent's geometry, the fine ones another's colours, so that W+ is disentangled the way real
StyleGANs are. Stopped at any moment, the same command goes on from the last checkpoint.

The weights in the repository are still those of the recipe before this one (commit 1bb871a): this one fits the mapping
to the unsquashed variables and holds it, draws rare states more often and weighs what is near the eyes, and has not
been run to its end.
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
import optax
import orbax.checkpoint as ocp
from flax import nnx
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dragspace_jax.checkpoint import build_generator, load, save_parameters
from dragspace_jax.critters import KINDS, LATENT_DIM, render
from dragspace_jax.stylegan2 import Generator, GeneratorConfig
from dragspace_jax.stylegan2.mapping import Mapping
from dragspace_jax.stylegan2.parameters import parameters
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.sheets import contact_sheet, to_uint8
from scripts.critter_mapping import fit_mapping
from scripts.critter_pictures import attributes_of, latents, picture_loss

COARSE_LAYERS = 6  # W+ layers that follow the geometry: those the published drag loop moves
CHANNELS = {4: 160, 8: 160, 16: 160, 32: 96, 64: 64, 128: 32}
EMA_DECAY = 0.995
NEAR_W = 0.1  # weight of the change of w where a trained mapping is fitted again
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One rung: `steps` optimiser steps at `resolution`, the learning rate falling from `rate` by a cosine."""

    resolution: int
    steps: int
    rate: float


def make_step(kind: str, resolution: int, batch: int, optimiser: optax.GradientTransformation, seed: int) -> Callable:
    """The compiled step: (state, mapping, graph of the synthesis, step) → (state, loss).

    State holds `params`, `average` (their moving average) and `optimiser`.
    """

    def step(state: dict[str, Any], mapping: Mapping, graph: nnx.GraphDef, index: jax.Array) -> tuple:
        geometry_z, colour_z = latents(jax.random.fold_in(jax.random.key(seed), index), batch)
        coarse, fine = mapping(geometry_z), mapping(colour_z)
        layer = jnp.arange(coarse.shape[1])[None, :, None]
        ws = jnp.where(layer < COARSE_LAYERS, coarse, fine)
        attributes = attributes_of(geometry_z, colour_z)

        def one(params: Params, ws: jax.Array, attributes: jax.Array) -> jax.Array:
            return picture_loss(kind, nnx.merge(graph, params)(ws[None]).image[0], attributes)

        def add(total: Params, picture: tuple[jax.Array, jax.Array]) -> tuple[Params, None]:
            return jax.tree.map(jnp.add, total, jax.value_and_grad(one)(state["params"], *picture)), None

        # One picture at a time: on a CPU its patches stay in the caches, and a step takes half as long.
        zero = (jnp.float32(0.0), jax.tree.map(jnp.zeros_like, state["params"]))
        total, _ = jax.lax.scan(add, zero, (ws, attributes))
        value, gradient = jax.tree.map(lambda leaf: leaf / batch, total)
        updates, moments = optimiser.update(gradient, state["optimiser"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        # The average forgets its beginning: it spans at most a tenth of the steps so far.
        decay = jnp.minimum(EMA_DECAY, 1.0 - 10.0 / (index + 10.0))
        average = jax.tree.map(lambda a, p: decay * a + (1.0 - decay) * p, state["average"], params)
        return {"params": params, "average": average, "optimiser": moments}, value

    return jax.jit(step, static_argnums=2, donate_argnums=0)


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
    """ "32:1000:0.02,64:500:0.01" → stages. Raises click.BadParameter if it is not of this form."""
    try:
        parts = (part.split(":") for part in text.split(","))
        return [Stage(resolution=int(side), steps=int(steps), rate=float(rate)) for side, steps, rate in parts]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not like 32:1000:0.02,64:500:0.01") from error


def train_stage(
    generator: Generator, stage: Stage, manager: ocp.CheckpointManager, kind: str, batch: int, seed: int
) -> Generator:
    """Run one stage from its last checkpoint, if any, to its end; the result has the averaged parameters."""
    warmup = min(50, stage.steps // 4)
    schedule = optax.warmup_cosine_decay_schedule(0.0, stage.rate, warmup, stage.steps, stage.rate * 0.02)
    optimiser = optax.adam(schedule, b1=0.9, b2=0.99)
    graph, params = nnx.split(generator.synthesis)
    state = {"params": params, "average": jax.tree.map(jnp.copy, params), "optimiser": optimiser.init(params)}
    start = manager.latest_step() or 0
    if start:
        state = manager.restore(start, args=ocp.args.StandardRestore(state))
    step = make_step(kind, stage.resolution, batch, optimiser, seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    recent: list[float] = []
    with Progress(*columns) as progress:
        task = progress.add_task(f"{kind} {stage.resolution} px", total=stage.steps, completed=start)
        for index in range(start, stage.steps):
            state, value = step(state, generator.mapping, graph, jnp.int32(index))
            recent.append(float(value))
            progress.update(task, advance=1)
            if (index + 1) % 50 == 0 or index + 1 == stage.steps:
                manager.save(index + 1, args=ocp.args.StandardSave(state))
                manager.wait_until_finished()
                now = time.strftime("%H:%M:%S")
                progress.console.print(f"{now} {stage.resolution} px, step {index + 1}: {np.mean(recent):.4f}")
                recent.clear()
    generator.synthesis = nnx.merge(graph, state["average"])
    return generator


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
@click.option("--stages", default="32:1200:0.02,64:1600:0.015,128:1600:0.008", help="resolution:steps:rate, in order.")
@click.option("--batch", default=16, help="Images a step.")
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
        folder = (work / f"stage{number}-{stage.resolution}px").absolute()
        with ocp.CheckpointManager(folder, options=ocp.CheckpointManagerOptions(max_to_keep=1)) as manager:
            generator = train_stage(generator, stage, manager, kind, batch, seed + 1000 * number)
        error, sheet = quality(generator, kind)
        click.echo(f"{kind} {stage.resolution} px: squared error {error:.5f} on held-out latents")
        Image.fromarray(sheet).save(work / f"sheet-{number}-{stage.resolution}px.png")
        export(export_to, generator, kind, error, plan[: number + 1])
        known = {**known, **parameters(generator)}


if __name__ == "__main__":
    main()
