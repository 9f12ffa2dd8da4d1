"""Train the embedded BigGAN (critters-biggan) on both procedural animals, supervised; resumable.

    python -m scripts.train_critters_biggan --work out/train-biggan \
        --export dragspace_jax/critters/weights/critters-biggan

One network draws both species: its class 0 is the dog, 1 the cat. As in `train_critters` the world is known, so no
adversary is needed: G(z, class) is held to the picture that the renderer draws of entangle(z) in that species. A first
stage trains all but the last block, by a head of its own at 64 px; the second goes on at 128 px. Batch norms divide by
statistics that follow the activations, and that are held in the second half of the last stage, so that what is trained
there is what is exported. They are those of all truncations alike: the network has learnt small z with them too.
It needs PyTorch (`biggan_synthesis`), one thread of it. Minutes are the processor's: 80 in all as the stages stand, and
at 64 px a step of 8 images takes 0.3 s of them (on a busy machine). Stopped at any moment, the same command goes on
from the last checkpoint; `--pause 3` stops it after so many minutes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import click
import jax
import jax.numpy as jnp
import numpy as np
import torch
from PIL import Image

from dragspace_jax.biggan import BigGAN, BigGANConfig
from dragspace_jax.building import build_biggan
from dragspace_jax.checkpoint import save_parameters
from dragspace_jax.convert.biggan import biggan_shapes
from dragspace_jax.critters import KINDS, LATENT_DIM, entangle
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.viz.sheets import contact_sheet, to_uint8
from scripts.biggan_synthesis import SMALL, Statistics, Synthesis, by_muon, gain_of, initial_values
from scripts.critter_descent import Descent, Values
from scripts.critter_pictures import drawing, latents, picture_loss
from scripts.train_critters import Stage, parse_stages

CONFIG = BigGANConfig(
    resolution=128,
    layers=(
        (False, 16, 16), (True, 16, 16), (False, 16, 16), (True, 16, 8), (False, 8, 8),
        (True, 8, 4), (False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1),
    ),
    attention_layer_position=6,  # at 32 px: at 64 it would take three times the time of all else
    channel_width=16,
    z_dim=LATENT_DIM,
    num_classes=len(KINDS),
    n_stats=2,
)  # fmt: skip
DECAY, EVERY = 0.9, 5  # of the statistics, measured in one of so many steps
HELD = 0.5  # of the last stage, from which on they are
TRUNCATED = 4  # one image of so many has a z of a truncation drawn evenly
CUT = 2.0  # standard deviations beyond which the seeds' z have nothing
Batch = tuple[torch.Tensor, ...]


def batches(resolution: int, count: int, seed: int) -> Callable[[int], Batch]:
    """Step → what is trained on in it: z [B, Z], labels [B, 2], drawings [B, H, W, 3], weights [B, H, W, 1].

    The first half are dogs.
    """
    labels = np.repeat(np.eye(len(KINDS), dtype=np.float32), count // len(KINDS), axis=0)

    def make(step: jax.Array) -> tuple[jax.Array, ...]:
        key = jax.random.fold_in(jax.random.key(seed), step)
        z = latents(key, count)[0]
        order, shares = jax.random.split(jax.random.fold_in(key, 1))
        z = jnp.clip(jax.random.permutation(order, z), -CUT, CUT)  # what is rare is of both species
        share = jax.random.uniform(shares, (count, 1))
        z = jnp.where(jnp.arange(count)[:, None] % TRUNCATED == 0, share * z, z)
        attributes = entangle(z).reshape(len(KINDS), count // len(KINDS), -1)
        drawn = [
            jax.lax.map(lambda a, k=kind: drawing(k, a, resolution), attributes[i]) for i, kind in enumerate(KINDS)
        ]
        return (z, *(jnp.concatenate(parts) for parts in zip(*drawn, strict=True)))

    compiled = jax.jit(make)

    def batch(step: int) -> Batch:
        z, wanted, weight = (torch.tensor(np.asarray(each)) for each in compiled(jnp.int32(step)))
        return z, torch.tensor(labels), wanted, weight

    return batch


def jax_model(values: Values, statistics: Statistics) -> BigGAN:
    """The network in JAX, its statistics in all sets."""
    trained = {name: value.detach() for name, value in values.items() if not name.startswith(SMALL)}
    known = {name: (value * gain_of(name, value.shape)).numpy() for name, value in trained.items()}
    for name, (mean, variance) in statistics.items():
        if not name.startswith(SMALL):
            known[f"{name}.running_means"] = np.tile(mean.numpy(), (CONFIG.n_stats, 1))
            known[f"{name}.running_vars"] = np.tile(variance.numpy(), (CONFIG.n_stats, 1))
    return build_biggan(CONFIG, known)


@torch.no_grad()
def quality(synthesis: Synthesis, resolution: int) -> tuple[float, np.ndarray]:
    """Mean squared error to the drawings of 64 held-out latents, and a sheet: samples left, drawings right."""
    z, labels, wanted, _ = batches(resolution, 64, 2**31 - 1)(0)
    images = synthesis.images(z, labels, small=resolution < CONFIG.resolution).permute(0, 2, 3, 1).numpy()
    sheets = [contact_sheet(to_uint8(pictures), columns=8, padding=0) for pictures in (images, wanted.numpy())]
    return float(np.mean(np.square(images - wanted.numpy()))), np.concatenate(sheets, 1)


def export(folder: Path, values: Values, statistics: Statistics, error: float, stages: list[Stage]) -> None:
    """Write the model folder in float16."""
    named = parameters(jax_model(values, statistics))
    half = {name: np.asarray(value).astype(np.float16) for name, value in named.items()}
    digest = hashlib.sha256(b"".join(half[name].tobytes() for name in sorted(half))).hexdigest()
    recipe = {"kinds": list(KINDS), "squared_error": round(error, 5), "stages": [dataclasses.asdict(s) for s in stages]}
    save_parameters(folder, CONFIG, half, source={"format": "trained", "sha256": digest, **recipe})


@dataclasses.dataclass
class Run:
    """What a checkpoint holds: which stage, its optimiser, the statistics, seconds in the stage.

    Seconds are the processor's, since a shared machine gives a run what others leave.
    """

    path: Path
    stage: int
    descent: Descent
    statistics: Statistics
    seconds: float = 0.0

    @classmethod
    def resumed(cls, path: Path, seed: int) -> Run:
        """From its file, or new."""
        run = cls(path, 0, Descent(initial_values(CONFIG, biggan_shapes(CONFIG), seed), by_muon), {})
        if path.exists():
            kept = torch.load(path)
            run.stage, run.statistics, run.seconds = kept["stage"], kept["statistics"], kept["seconds"]
            run.descent.restore(kept["descent"])
        return run

    def save(self) -> None:
        """Write the file, whole."""
        kept = {"stage": self.stage, "statistics": self.statistics, "seconds": self.seconds}
        torch.save({**kept, "descent": self.descent.state()}, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)

    def next_stage(self) -> None:
        """Begin the next stage with the averaged parameters, and moments of its own."""
        self.descent = Descent(self.descent.average, by_muon)
        self.stage, self.seconds = self.stage + 1, 0.0
        self.save()

    def train(self, stage: Stage, *, last: bool, batch: int, seed: int, until: float) -> bool:
        """Train to the stage's end or to a time of `time.process_time`; whether the stage is over."""
        batch_of = batches(stage.resolution, batch, seed + self.stage)
        small = stage.resolution < CONFIG.resolution
        recent: list[float] = []
        then = time.process_time()
        while (share := stage.share(self.descent.steps, self.seconds)) < 1.0 and then < until:
            step = self.descent.steps
            follows = step % EVERY == 0 and not (last and share > HELD)
            synthesis = Synthesis(CONFIG, self.descent.values, self.statistics, DECAY if follows else 1.0)
            z, labels, wanted, weight = batch_of(step)
            loss = picture_loss(synthesis.images(z, labels, small=small), wanted, weight)
            loss.backward()
            for value in self.descent.values.values():
                if value.grad is None:  # of the head that does not run
                    value.grad = torch.zeros_like(value)
            self.descent.step(stage.rate_at(share))
            recent.append(loss.item())
            now = time.process_time()
            self.seconds, then = self.seconds + now - then, now
            if self.descent.steps % 100 == 0:
                told = f"{stage.resolution} px, step {self.descent.steps} ({share:.0%}): {np.mean(recent):.4f}"
                click.echo(f"{time.strftime('%H:%M:%S')} {told}")
                recent.clear()
                self.save()
        self.save()
        return share >= 1.0


@click.command(context_settings={"show_default": True})
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of the checkpoint and sheets.")
@click.option("--export", "export_to", type=click.Path(path_type=Path), required=True, help="Model folder to write.")
@click.option("--stages", default="64:25m:0.01,128:55m:0.006", help="resolution:steps:rate, or :minutes (60m).")
@click.option("--batch", default=8, help="Images a step, half of them dogs.")
@click.option("--seed", default=0, help="Seed of the latents and of the initial weights.")
@click.option("--pause", type=float, default=None, help="Minutes of the processor after which to stop.")
def main(work: Path, export_to: Path, stages: str, batch: int, seed: int, pause: float | None) -> None:
    """Train the model and write it as a model folder, also after every pause."""
    until = time.process_time() + (float("inf") if pause is None else 60.0 * pause)
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    plan = parse_stages(stages)
    run = Run.resumed(work / "run.pt", seed)
    while run.stage < len(plan):
        stage = plan[run.stage]
        over = run.train(stage, last=run.stage == len(plan) - 1, batch=batch, seed=seed, until=until)
        synthesis = Synthesis(CONFIG, run.descent.average, run.statistics)
        error, sheet = quality(synthesis, stage.resolution)
        Image.fromarray(sheet).save(work / f"sheet-{stage.resolution}px.png")
        told = {"stage": run.stage, "steps": run.descent.steps, "minutes": round(run.seconds / 60, 1), "error": error}
        click.echo(json.dumps(told))
        if stage.resolution == CONFIG.resolution:
            export(export_to, run.descent.average, run.statistics, error, plan[: run.stage + 1])
        if not over:
            return
        run.next_stage()
    click.echo("finished")


if __name__ == "__main__":
    main()
