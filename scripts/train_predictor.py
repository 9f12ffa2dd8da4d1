"""Train the predictor of landmarks, segmentation and attributes on the renderer; resumable.

    python -m scripts.train_predictor --work out/train-predictor

Pictures of both kinds are drawn once (two thirds with attributes as the embedded models have them, a third uniformly
over the ranges; colours of another latent than the geometry's), kept in the work folder, and blurred, relit and made
noisy anew in every step, since a generator's pictures are a little soft. The weights and a card with the errors on
held-out pictures, drawn and generated, go to `dragspace_jax/critters/weights`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import nnx
from rich.progress import Progress
from torch.nn import functional

from dragspace_jax.checkpoint import load
from dragspace_jax.critters import ATTRIBUTES, KINDS, LANDMARKS, LATENT_DIM, SEGMENTS, entangle, render
from dragspace_jax.critters.attributes import COLOURS, NAMES
from dragspace_jax.critters.predictor import (
    SIDE,
    Predictor,
    load_predictor,
    predict,
    predictor_of,
    scaled_attributes,
    unscaled_attributes,
)
from dragspace_jax.stylegan2.mapping import normalise_second_moment
from dragspace_jax.stylegan2.parameters import parameters
from dragspace_jax.stylegan2.rendering import render_images
from scripts.critter_descent import Descent, Stage, Values
from scripts.predictor_network import Reading, read

WEIGHTS = Path("dragspace_jax/critters/weights")
HELD_OUT = 512  # of each kind
FEW = 32  # of these, for the log
OPENINGS = ("eye_opening_left", "eye_opening_right", "mouth_opening")
STATES = {"closed": (0.0, 0.25), "narrow": (0.25, 0.6), "wide": (0.6, 1.0)}
ATTRIBUTE_WEIGHT = 10.0
DIFFERENCE = 0.05  # of an attribute whose range is [-1, 1]
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
        "scaled": np.asarray(scaled_attributes(jnp.asarray(attributes))),
        "kind": np.full(len(attributes), KINDS.index(kind)),
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


def as_floats(images: torch.Tensor) -> torch.Tensor:
    """Pictures of bytes in [-1, 1]."""
    return images.float() / 127.5 - 1.0


def softened(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures [B, H, W, 3] blurred, relit and made noisy at random."""
    shape = (len(images), 1, 1, 1)

    def between(low: float, high: float, shape: tuple[int, ...] = shape) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    smooth = images
    for axis in (1, 2):
        inner = smooth.narrow(axis, 1, SIDE - 2)
        sides = smooth.narrow(axis, 0, SIDE - 2) + smooth.narrow(axis, 2, SIDE - 2)
        ends = smooth.narrow(axis, 0, 1), smooth.narrow(axis, SIDE - 1, 1)
        smooth = torch.cat([ends[0], 0.5 * inner + 0.25 * sides, ends[1]], axis)
    images = torch.lerp(images, smooth, between(0.0, 1.0))
    images = images * between(0.96, 1.04) + between(-0.03, 0.03, (len(images), 1, 1, 3))
    noise = torch.randn(images.shape, generator=generator)
    return (images + between(0.0, 0.04) * noise).clamp_(-1.0, 1.0)


def picture_change(count: int = 24) -> np.ndarray:
    """What an error of attributes changes in a picture, [A, A]: its squared error is e · M · e for small errors e.

    The mean over drawings of both kinds, by central differences; e is of attributes whose ranges are mapped to [-1, 1].
    """
    products = []
    for kind in KINDS:
        one = jax.jit(lambda row, k=kind: render(k, unscaled_attributes(row[None]), SIDE // 2).image.reshape(-1))
        for row in np.asarray(scaled_attributes(jnp.asarray(attributes_of(count, 5, uniform=0.33)))):
            ways = DIFFERENCE * np.eye(len(row), dtype=np.float32)
            change = np.stack([np.asarray(one(row + way) - one(row - way)) for way in ways]) / (2.0 * DIFFERENCE)
            products.append(change @ change.T / change.shape[1])
    return np.mean(products, 0)


def loss(reading: Reading, batch: dict[str, torch.Tensor], change: torch.Tensor) -> torch.Tensor:
    """Pixels of landmarks within the frame, cross entropy of segments, errors of scaled attributes: the sum.

    Attributes count by their squares and by what the errors change in a picture, `picture_change`.
    """
    landmark = batch["landmark"]
    inside = ((landmark >= 0.0) & (landmark <= SIDE - 1.0)).all(-1)
    missed = functional.huber_loss(reading.landmarks_yx, landmark, reduction="none", delta=1.0).sum(-1)
    places = torch.where(inside, missed, 0.0).sum() / inside.sum()
    parts = functional.cross_entropy(reading.logits.flatten(0, 2), batch["segment"].long().flatten())
    error = reading.attributes - batch["scaled"]
    return places + parts + ATTRIBUTE_WEIGHT * (error.square().mean() + ((error @ change) * error).sum(-1).mean())


def train(stage: Stage, data: Data, change: np.ndarray, work: Path, batch: int, log: Data) -> Values:
    """Run the training from its checkpoint, if any, to its end; the result is the average of the parameters."""
    known = parameters(Predictor(rngs=nnx.Rngs(0)))
    descent, seconds = Descent({name: torch.tensor(np.asarray(value)) for name, value in known.items()}), 0.0
    path = work / "training.pt"
    if path.exists():
        kept = torch.load(path)
        descent.restore(kept["descent"])
        seconds = kept["seconds"]
    recent: list[float] = []
    last = time.monotonic()
    while (share := stage.share(descent.steps, seconds)) < 1.0:
        rows = np.random.default_rng([0, descent.steps]).integers(0, len(data["image"]), batch)
        chosen = {name: torch.from_numpy(values[rows]) for name, values in data.items()}
        images = softened(as_floats(chosen["image"]), torch.Generator().manual_seed(descent.steps))
        value = loss(read(descent.values, images), chosen, torch.from_numpy(change))
        value.backward()
        descent.step(stage.rate_at(share))
        recent.append(value.item())
        now = time.monotonic()
        seconds, last = seconds + now - last, now
        share = stage.share(descent.steps, seconds)
        if descent.steps % 500 == 0 or share >= 1.0:
            torch.save({"descent": descent.state(), "seconds": seconds}, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
            click.echo(f"{time.strftime('%H:%M:%S')} step {descent.steps} ({share:.0%}, {seconds / 60:.1f} minutes): "
                       f"{np.mean(recent):.4f}; {progress(descent.average, log)}")  # fmt: skip
            recent.clear()
            last = time.monotonic()
    return descent.average


@torch.no_grad()
def progress(values: Values, data: Data) -> str:
    """How well a few held-out drawings are read."""
    reading = read(values, as_floats(torch.from_numpy(data["image"])), torch.float32)
    missed = np.linalg.norm(reading.landmarks_yx.numpy() - data["landmark"], axis=-1).mean()
    error = np.square(reading.attributes.numpy() - data["scaled"]).mean(0)
    r2 = 1.0 - error / data["scaled"].var(0)
    eyes = r2[[NAMES.index(name) for name in OPENINGS if name.startswith("eye")]].mean()
    drawn_error = drawing_errors(data, np.asarray(unscaled_attributes(jnp.asarray(reading.attributes.numpy())))).mean()
    return f"held out {missed:.3f} px, R² {r2.mean():.3f}, of eyes {eyes:.3f}, drawing of the reading {drawn_error:.4f}"


def refit_head(predictor: Predictor, data: Data, change: np.ndarray, *, steps: int, batch: int = 256) -> Predictor:
    """Fit the attribute head anew on what the finished network sees, which costs seconds instead of pictures."""
    look = jax.jit(lambda p, images: p.look(images)[2])
    seen, generator = [], torch.Generator().manual_seed(2)
    count = len(data["image"]) // 50 * 50
    with Progress() as progress:
        for turn in range(3):  # each picture softened three ways
            for start in progress.track(range(0, count, 50), description=f"looking, {turn + 1} of 3"):
                images = softened(as_floats(torch.from_numpy(data["image"][start : start + 50])), generator)
                seen.append(np.asarray(look(predictor, jnp.asarray(images.numpy()))))
    features = jnp.asarray(np.concatenate(seen))
    wanted = jnp.asarray(np.tile(data["scaled"][:count], (3, 1)))
    matrix = jnp.asarray(change)
    graph, params = nnx.split(predictor.head)
    optimiser = optax.adamw(optax.cosine_decay_schedule(1e-3, steps), weight_decay=1e-3)

    def value_of(params: Any, rows: jax.Array) -> jax.Array:
        error = nnx.merge(graph, params)(features[rows]) - wanted[rows]
        return jnp.mean(jnp.square(error)) + jnp.mean(jnp.sum((error @ matrix) * error, -1))

    def step(carry: tuple[Any, Any], index: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
        params, state = carry
        rows = jax.random.randint(jax.random.fold_in(jax.random.key(9), index), (batch,), 0, len(features))
        value, gradient = jax.value_and_grad(value_of)(params, rows)
        updates, state = optimiser.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), value

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, jnp.arange(steps)))
    (params, _), values = run((params, optimiser.init(params)))
    click.echo(f"the head: loss {float(values[:200].mean()):.4f} at first, {float(values[-200:].mean()):.4f} at last")
    predictor.head = nnx.merge(graph, params)
    return predictor


@cache
def _drawing(kind: str) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda row: render(kind, row[None], SIDE).image[0])


def drawing_errors(data: Data, attributes: np.ndarray) -> np.ndarray:
    """Squared errors [B] between drawings and the drawings of attributes [B, A] that were read off pictures."""
    inside = np.clip(attributes, [a.low for a in ATTRIBUTES], [a.high for a in ATTRIBUTES]).astype(np.float32)
    rows = zip(data["kind"], inside, data["image"], strict=True)
    return np.array([np.square(_drawing(KINDS[k])(a) - (image / 127.5 - 1.0)).mean() for k, a, image in rows])


def states(attributes: np.ndarray, data: Data) -> dict[str, Any]:
    """Errors of openings by state: how many there are, root mean square, and mean (positive: seen too far open)."""
    result = {}
    for part in ("eye", "mouth"):
        columns = [NAMES.index(name) for name in OPENINGS if name.startswith(part)]
        truth = data["attribute"][:, columns]
        missed = attributes[:, columns] - truth
        for state, (low, high) in STATES.items():
            chosen = missed[(truth >= low) & (truth < high)]
            figures = _rounded(np.array([np.sqrt(np.square(chosen).mean()), chosen.mean()]))
            result[f"{part} {state}"] = dict(zip(("count", "rms", "mean"), (len(chosen), *figures), strict=True))
    return result


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
        "drawing_error": round(float(drawing_errors(data, found.attributes).mean()), 5),
        "openings": states(found.attributes, data),
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
@click.option("--pictures", default=8000, help="Drawn of each kind.")
@click.option("--minutes", default=60.0, help="Of training.")
@click.option("--steps", type=int, default=None, help="Steps of training, instead of minutes.")
@click.option("--head-steps", default=6000, help="Steps of the attribute head's own training, at the end.")
@click.option("--batch", default=16, help="Pictures a step.")
@click.option("--rate", default=0.003, help="Highest learning rate.")
@click.option("--export", type=click.Path(path_type=Path), default=WEIGHTS, help="Folder of the weights and the card.")
def main(
    work: Path,
    pictures: int,
    minutes: float,
    steps: int | None,
    head_steps: int,
    batch: int,
    rate: float,
    export: Path,
) -> None:
    """Train, measure and write predictor.npz and predictor.json."""
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    parts = [drawn(work, kind, pictures, 10 + i, 0.33) for i, kind in enumerate(KINDS)]
    data = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    few = [drawn(work, kind, HELD_OUT, 77, 0.0) for kind in KINDS]
    log = {name: np.concatenate([part[name][:FEW] for part in few]) for name in few[0]}
    change = picture_change()
    values = train(Stage(resolution=SIDE, rate=rate, steps=steps, minutes=minutes), data, change, work, batch, log)
    finished = refit_head(predictor_of({n: v.numpy() for n, v in values.items()}), data, change, steps=head_steps)
    weights = {name: np.asarray(v, np.float16) for name, v in parameters(finished).items()}
    np.savez(export / "predictor.npz", **weights)  # type: ignore[arg-type]
    measured = card(load_predictor(export / "predictor.npz"), work)
    (export / "predictor.json").write_text(json.dumps(measured, indent=1) + "\n")
    for name, each in measured.items():
        click.echo(f"{name}: {each['landmark_px']} px (90 %: {each['landmark_px_p90']}), attributes R² "
                   f"{np.mean(list(each['attributes_r2'].values())):.2f}, IoU {each['segmentation_iou']}, drawing of the "
                   f"reading {each['drawing_error']}")  # fmt: skip


if __name__ == "__main__":
    main()
