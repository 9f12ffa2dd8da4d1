"""Train the predictor of landmarks, segmentation and attributes on the renderer; resumable.

    python -m scripts.train_predictor --work out/train-predictor

Pictures of both kinds are drawn once (two thirds with attributes as the embedded models have them, a third uniformly
over the ranges; colours of another latent than the geometry's), kept in the work folder, and blurred, relit and made
noisy anew in every step, since a generator's pictures are a little soft. The weights and a card with the errors on
held-out pictures, drawn and generated, go to `dragspace_jax/critters/weights`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dragspace_jax.checkpoint import load
from dragspace_jax.critters import ATTRIBUTES, KINDS, LANDMARKS, LATENT_DIM, SEGMENTS, entangle, render
from dragspace_jax.critters.attributes import COLOURS, NAMES
from dragspace_jax.critters.predictor import SIDE, Head, Predictor, load_predictor, predict, scaled_attributes
from dragspace_jax.stylegan2.mapping import normalise_second_moment
from dragspace_jax.stylegan2.parameters import parameters
from dragspace_jax.stylegan2.rendering import render_images

WEIGHTS = Path("dragspace_jax/critters/weights")
HELD_OUT = 512  # of each kind
Data = dict[str, np.ndarray]


def attributes_of(count: int, seed: int, *, uniform: float) -> np.ndarray:
    """Attributes [count, A]: as the models have them, geometry and colours of two latents, a share of them uniform."""
    keys = jax.random.split(jax.random.key(seed), 4)
    geometry, colours = (entangle(normalise_second_moment(jax.random.normal(k, (count, LATENT_DIM)))) for k in keys[:2])
    mixed = jnp.where(jnp.asarray([name in COLOURS for name in NAMES])[None], colours, geometry)
    low, high = (jnp.asarray([getattr(a, end) for a in ATTRIBUTES])[None] for end in ("low", "high"))
    flat = low + (high - low) * jax.random.uniform(keys[2], mixed.shape)
    return np.asarray(jnp.where(jax.random.uniform(keys[3], (count, 1)) < uniform, flat, mixed))


def draw(kind: str, attributes: np.ndarray, progress: Progress) -> Data:
    """Pictures of attributes: image uint8, segmentation uint8 at half the side, landmarks, attributes."""
    one = jax.jit(lambda a: jax.tree.map(lambda x: x[0], render(kind, a[None], SIDE)))
    images, segments, landmarks = [], [], []
    for row in progress.track(attributes, description=f"drawing {kind}s"):
        picture = one(jnp.asarray(row))
        images.append(np.asarray(jnp.round((picture.image + 1.0) * 127.5)).astype(np.uint8))
        segments.append(np.asarray(picture.segmentation[::2, ::2]).astype(np.uint8))
        landmarks.append(np.asarray(picture.landmarks_yx))
    return {
        "image": np.stack(images),
        "segment": np.stack(segments),
        "landmark": np.stack(landmarks),
        "attribute": attributes,
    }


def drawn(work: Path, kind: str, count: int, seed: int, uniform: float) -> Data:
    """`draw`, kept in the work folder."""
    path = work / f"{kind}-{count}-{seed}.npz"
    if not path.exists():
        with Progress() as progress:
            data = draw(kind, attributes_of(count, seed, uniform=uniform), progress)
        np.savez(path.with_suffix(".part.npz"), **data)  # type: ignore[arg-type]
        path.with_suffix(".part.npz").rename(path)
    with np.load(path) as stored:
        return dict(stored)


def softened(key: jax.Array, images: jax.Array) -> jax.Array:
    """Pictures [B, H, W, 3] blurred, relit and made noisy at random."""
    count = images.shape[0]
    blur, light, contrast, noise, level = jax.random.split(key, 5)
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    smooth = 0.25 * rows[:, :, :-2] + 0.5 * rows[:, :, 1:-1] + 0.25 * rows[:, :, 2:]
    shape = (count, 1, 1, 1)
    images = images + jax.random.uniform(blur, shape) * (smooth - images)
    images = images * jax.random.uniform(contrast, shape, minval=0.92, maxval=1.08)
    images = images + jax.random.uniform(light, (count, 1, 1, 3), minval=-0.06, maxval=0.06)
    strength = jax.random.uniform(level, shape, maxval=0.05)
    return jnp.clip(images + strength * jax.random.normal(noise, images.shape), -1.0, 1.0)


def loss(predictor: Predictor, images: jax.Array, segment: jax.Array, landmark: jax.Array, attribute: jax.Array):
    """Pixels of landmarks within the frame, cross entropy of segments, squares of scaled attributes: the sum."""
    reading = predictor(images)
    inside = jnp.all((landmark >= 0.0) & (landmark <= SIDE - 1.0), -1)
    missed = optax.huber_loss(reading.landmarks_yx, landmark, delta=1.0).sum(-1)
    places = jnp.sum(jnp.where(inside, missed, 0.0)) / jnp.sum(inside.astype(jnp.float32))
    parts = optax.softmax_cross_entropy_with_integer_labels(reading.logits, segment).mean()
    return places + parts + 4.0 * jnp.mean(jnp.square(reading.attributes - scaled_attributes(attribute)))


def make_step(graph: nnx.GraphDef, optimiser: optax.GradientTransformation) -> Any:
    """(parameters, optimiser state, a batch of `Data`, key) → (parameters, state, loss), compiled."""

    def step(params: Any, state: Any, batch: dict[str, jax.Array], key: jax.Array) -> tuple[Any, Any, jax.Array]:
        images = softened(key, batch["image"].astype(jnp.float32) / 127.5 - 1.0)
        segment = batch["segment"].astype(jnp.int32)
        value, gradient = jax.value_and_grad(
            lambda p: loss(nnx.merge(graph, p), images, segment, batch["landmark"], batch["attribute"])
        )(params)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    return jax.jit(step, donate_argnums=(0, 1))


def refit_head(predictor: Predictor, data: Data, *, steps: int, batch: int = 256) -> Predictor:
    """Fit the attribute head anew on what the finished network sees, which costs seconds instead of pictures."""
    look = jax.jit(lambda p, key, image: p.look(softened(key, image.astype(jnp.float32) / 127.5 - 1.0))[2])
    seen = []
    with Progress() as progress:
        for turn in range(3):  # each picture softened three ways
            for start in progress.track(range(0, len(data["image"]) - 49, 50), description=f"looking, {turn + 1} of 3"):
                key = jax.random.fold_in(jax.random.key(turn + 2), start)
                seen.append(np.asarray(look(predictor, key, jnp.asarray(data["image"][start : start + 50]))))
    features = jnp.asarray(np.concatenate(seen))
    count = len(data["image"]) // 50 * 50
    wanted = jnp.asarray(np.tile(np.asarray(scaled_attributes(jnp.asarray(data["attribute"][:count]))), (3, 1)))
    graph, params = nnx.split(Head(features.shape[1], rngs=nnx.Rngs(0)))
    optimiser = optax.adamw(optax.cosine_decay_schedule(3e-3, steps), weight_decay=1e-3)

    def step(carry: tuple[Any, Any], index: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
        params, state = carry
        rows = jax.random.randint(jax.random.fold_in(jax.random.key(9), index), (batch,), 0, len(features))
        value, gradient = jax.value_and_grad(
            lambda p: jnp.mean(jnp.square(nnx.merge(graph, p)(features[rows]) - wanted[rows]))
        )(params)
        updates, state = optimiser.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), value

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, jnp.arange(steps)))
    (params, _), values = run((params, optimiser.init(params)))
    click.echo(f"the head: mean square {float(values[-200:].mean()):.4f} of attributes scaled to [-1, 1]")
    predictor.head = nnx.merge(graph, params)
    return predictor


def errors(predictor: Predictor, data: Data, images: np.ndarray) -> dict[str, Any]:
    """Errors of what is read off the images against the renderer's truth."""
    found = predict(predictor, images)
    missed = np.linalg.norm(found.landmarks_yx - data["landmark"], axis=-1)
    missed[((data["landmark"] < 0) | (data["landmark"] > SIDE - 1)).any(-1)] = np.nan
    residual = ((found.attributes - data["attribute"]) ** 2).mean(0) / data["attribute"].var(0)
    labels = found.segmentation[:, ::2, ::2]
    union = [np.sum((labels == s) | (data["segment"] == s)) for s in range(len(SEGMENTS))]
    both = [np.sum((labels == s) & (data["segment"] == s)) for s in range(len(SEGMENTS))]
    return {
        "landmark_px": round(float(np.nanmean(missed)), 3),
        "landmark_px_p90": round(float(np.nanpercentile(missed, 90)), 3),
        "landmarks_px": dict(zip(LANDMARKS, _rounded(np.nanmean(missed, 0)), strict=True)),
        "attributes_r2": dict(zip(NAMES, _rounded(1.0 - residual), strict=True)),
        "segmentation_accuracy": round(float((labels == data["segment"]).mean()), 4),
        "segmentation_iou": round(float(np.mean(np.array(both) / np.maximum(union, 1))), 4),
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in values]


def card(predictor: Predictor, work: Path) -> dict[str, Any]:
    """Errors on held-out pictures that the renderer drew, and on those that the embedded models make of the same z."""
    result: dict[str, Any] = {}
    for kind in KINDS:
        data = drawn(work, kind, HELD_OUT, 77, 0.0)
        result[f"{kind}, drawn"] = errors(predictor, data, data["image"].astype(np.float32) / 127.5 - 1.0)
        model = load(f"critters-{kind}")
        z = jax.random.normal(jax.random.key(78), (HELD_OUT, model.config.z_dim))
        path = work / f"{kind}-generated.npz"
        if not path.exists():
            with Progress() as progress:
                np.savez(path, **draw(kind, np.asarray(entangle(normalise_second_moment(z))), progress))  # type: ignore[arg-type]
        with np.load(path) as stored:
            truth = dict(stored)
        images = np.clip(render_images(model, np.asarray(model.mapping(z))), -1.0, 1.0)
        result[f"{kind}, generated"] = errors(predictor, truth, images)
    return result


@click.command(context_settings={"show_default": True})
@click.option("--work", type=click.Path(path_type=Path), default=Path("out/train-predictor"), help="Checkpoints, data.")
@click.option("--pictures", default=5000, help="Drawn of each kind.")
@click.option("--steps", default=3000, help="Optimiser steps.")
@click.option("--head-steps", default=6000, help="Steps of the attribute head's own training, at the end.")
@click.option("--batch", default=16, help="Pictures a step.")
@click.option("--rate", default=2e-3, help="Highest learning rate.")
@click.option("--export", type=click.Path(path_type=Path), default=WEIGHTS, help="Folder of the weights and the card.")
def main(work: Path, pictures: int, steps: int, head_steps: int, batch: int, rate: float, export: Path) -> None:
    """Train, measure and write predictor.npz and predictor.json."""
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    parts = [drawn(work, kind, pictures, 10 + i, 0.33) for i, kind in enumerate(KINDS)]
    data = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    graph, params = nnx.split(Predictor(rngs=nnx.Rngs(0)))
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, min(200, steps // 4), steps, rate * 0.01)
    optimiser = optax.chain(optax.clip_by_global_norm(10.0), optax.adamw(schedule, weight_decay=1e-4))
    state, run = optimiser.init(params), make_step(graph, optimiser)
    with ocp.CheckpointManager(work / "steps", options=ocp.CheckpointManagerOptions(max_to_keep=1)) as manager:
        first = manager.latest_step() or 0
        if first:
            kept = manager.restore(first, args=ocp.args.StandardRestore({"params": params, "state": state}))
            params, state = kept["params"], kept["state"]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as progress:
            task = progress.add_task("training", total=steps, completed=first)
            for index in range(first, steps):
                rows = np.random.default_rng([0, index]).integers(0, len(data["image"]), batch)
                chosen = {name: jnp.asarray(values[rows]) for name, values in data.items()}
                params, state, value = run(params, state, chosen, jax.random.fold_in(jax.random.key(0), index))
                progress.update(task, advance=1)
                if (index + 1) % 250 == 0 or index + 1 == steps:
                    progress.console.print(f"step {index + 1}: loss {float(value):.3f}")
                    manager.save(index + 1, args=ocp.args.StandardSave({"params": params, "state": state}))
                    manager.wait_until_finished()
    finished = refit_head(nnx.merge(graph, params), data, steps=head_steps)
    weights = {name: np.asarray(v, np.float16) for name, v in parameters(finished).items()}
    np.savez(export / "predictor.npz", **weights)  # type: ignore[arg-type]
    measured = card(load_predictor(export / "predictor.npz"), work)
    (export / "predictor.json").write_text(json.dumps(measured, indent=1) + "\n")
    for name, each in measured.items():
        click.echo(f"{name}: {each['landmark_px']} px (90 %: {each['landmark_px_p90']}), attributes R² "
                   f"{np.mean(list(each['attributes_r2'].values())):.2f}, IoU {each['segmentation_iou']}")  # fmt: skip


if __name__ == "__main__":
    main()
