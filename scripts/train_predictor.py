"""Train the predictor of landmarks, segmentation and attributes on the renderer; resumable.

    python -m scripts.train_predictor --work out/train-predictor

Pictures of both kinds are drawn once (two thirds with attributes as the embedded models have them, a third uniformly
over the ranges; colours of another latent than the geometry's), kept in the work folder, and blurred, relit and made
noisy anew in every step, since a generator's pictures are a little soft. The attribute head is fitted once more on what
the finished network sees. The weights and a card with the errors on held-out pictures, drawn and generated, go to
`dragspace_jax/critters/weights`. It needs PyTorch (`predictor_network`). Stopped at any moment, the same command goes
on.

It takes one core: 7 minutes of its time for the drawings, 24 minutes of training (6,800 steps of 16 in the repository's
weights, on a core that had 40 to 85 % for it) and 5 for the head and the card. Two cores have not been timed, nor
a GPU tried. Of those 6,800 steps the first 1,000 followed the rates of a run of 35 minutes, without the greater weight
of openings. docs/embedded-models.md has the errors, and how they fell.
"""

from __future__ import annotations

import json
import time
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

from dragspace_jax.critters import KINDS
from dragspace_jax.critters.predictor import SIDE, Predictor, load_predictor, predictor_of
from dragspace_jax.networks.parameters import parameters
from scripts.critter_descent import Descent, Stage, Values
from scripts.predictor_errors import FEW, HELD_OUT, card, progress_line
from scripts.predictor_network import Reading, read
from scripts.predictor_pictures import Data, as_floats, attribute_weights, drawn, softened

WEIGHTS = Path("dragspace_jax/critters/weights")
ATTRIBUTE_WEIGHT = 10.0  # beside pixels of landmarks and the cross entropy of segments


def loss(reading: Reading, batch: dict[str, torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    """Pixels of landmarks within the frame, cross entropy of segments, weighted squares of attributes: the sum."""
    landmark = batch["landmark"]
    inside = ((landmark >= 0.0) & (landmark <= SIDE - 1.0)).all(-1)
    missed = functional.huber_loss(reading.landmarks_yx, landmark, reduction="none", delta=1.0).sum(-1)
    places = torch.where(inside, missed, 0.0).sum() / inside.sum()
    parts = functional.cross_entropy(reading.logits.flatten(0, 2), batch["segment"].long().flatten())
    error = reading.attributes - batch["scaled"]
    return places + parts + ATTRIBUTE_WEIGHT * ((error @ weights) * error).sum(-1).mean()


def train(stage: Stage, data: Data, weights: np.ndarray, work: Path, batch: int, log: Data) -> Values:
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
        value = loss(read(descent.values, images), chosen, torch.from_numpy(weights))
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
                       f"{np.mean(recent):.4f}; {progress_line(descent.average, log)}")  # fmt: skip
            recent.clear()
            last = time.monotonic()
    return descent.average


def refit_head(predictor: Predictor, data: Data, weights: np.ndarray, *, steps: int, batch: int = 256) -> Predictor:
    """Fit the attribute head anew on what the finished network sees, which costs seconds instead of pictures."""
    look = jax.jit(lambda p, images: p.look(images)[2])
    seen, generator = [], torch.Generator().manual_seed(2)
    count = len(data["image"]) // 50 * 50
    with Progress() as progress:
        for start in progress.track(range(0, count, 50), description="looking"):
            images = softened(as_floats(torch.from_numpy(data["image"][start : start + 50])), generator)
            seen.append(np.asarray(look(predictor, jnp.asarray(images.numpy()))))
    features, wanted = jnp.asarray(np.concatenate(seen)), jnp.asarray(data["scaled"][:count])
    matrix = jnp.asarray(weights)
    graph, params = nnx.split(predictor.head)
    optimiser = optax.adamw(optax.cosine_decay_schedule(1e-3, steps), weight_decay=1e-3)

    def value_of(params: Any, rows: jax.Array) -> jax.Array:
        error = nnx.merge(graph, params)(features[rows]) - wanted[rows]
        return jnp.mean(jnp.sum((error @ matrix) * error, -1))

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


@click.command(context_settings={"show_default": True})
@click.option("--work", type=click.Path(path_type=Path), default=Path("out/train-predictor"), help="Checkpoints, data.")
@click.option("--pictures", default=8000, help="Drawn of each kind.")
@click.option("--minutes", default=24.0, help="Of training.")
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
    weights = attribute_weights(work)
    values = train(Stage(resolution=SIDE, rate=rate, steps=steps, minutes=minutes), data, weights, work, batch, log)
    finished = refit_head(predictor_of({n: v.numpy() for n, v in values.items()}), data, weights, steps=head_steps)
    half = {name: np.asarray(v, np.float16) for name, v in parameters(finished).items()}
    np.savez(export / "predictor.npz", **half)  # type: ignore[arg-type]
    measured = card(load_predictor(export / "predictor.npz"), work)
    (export / "predictor.json").write_text(json.dumps(measured, indent=1) + "\n")
    for name, each in measured.items():
        click.echo(f"{name}: {each['landmark_px']} px (90 %: {each['landmark_px_p90']}), attributes R² "
                   f"{np.mean(list(each['attributes_r2'].values())):.2f}, IoU {each['segmentation_iou']}, "
                   f"drawing of the reading {each['drawing_error']}")  # fmt: skip


if __name__ == "__main__":
    main()
