"""Which block's features should a drag of a small generator follow? Measured on the embedded models.

    python -m scripts.feature_block_study --edits 24 --out out/feature-block

Every edit takes a landmark of a sample and, as target, the place where the renderer puts the same landmark after one
attribute has changed; so every target can be reached. Beside the outcome stands how far the landmark itself ended from
the target: the attributes are read off the moved layers' mean w by linear regression (fitted on 20,000 samples of W)
and rendered again. That is an estimate, on the same footing for all blocks.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dragspace_jax.checkpoint import load
from dragspace_jax.critters import LANDMARKS, entangle
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.changes import CHANGES, landmark_places
from dragspace_jax.drag import DragSettings, Outcome, drag_one
from dragspace_jax.spaces import DEFAULT_LAYERS
from dragspace_jax.stylegan2 import Generator, seed_to_z
from dragspace_jax.stylegan2.mapping import normalise_second_moment

BLOCKS = (16, 32, 64, 128)


def attribute_readout(model: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Least squares from w [D] (and 1) to attributes [A]: matrix [D + 1, A], and the fit's unexplained share [A]."""
    z = jax.random.normal(jax.random.key(11), (20_000, model.config.z_dim))
    w = np.asarray(model.mapping.trunk(z, None), np.float64)
    wanted = np.asarray(entangle(normalise_second_moment(z)), np.float64)
    features = np.concatenate([w, np.ones((len(w), 1))], 1)
    matrix, *_ = np.linalg.lstsq(features, wanted, rcond=None)
    residual = wanted - features @ matrix
    return matrix, residual.var(0) / wanted.var(0)


def measure(kind: str, edits: int, rate: float, steps: int) -> list[dict[str, float | int | str]]:
    """One row a block: share reached, mean steps, mean distance of the landmark to its target in px."""
    model = load(f"critters-{kind}")
    side = model.config.resolution
    matrix, _ = attribute_readout(model)
    rows = []
    for block in BLOCKS:
        settings = DragSettings(feature_block=block, learning_rate=rate, steps=steps)
        reached, taken, missed = [], [], []
        for number in track(range(edits), f"{kind}, block {block}"):
            name, attribute, value = CHANGES[number % len(CHANGES)]
            point = LANDMARKS.index(name)
            z = jnp.asarray(seed_to_z(1000 + number, model.config.z_dim))
            start = np.array(entangle(normalise_second_moment(z)))
            wanted = start.copy()
            wanted[0, NAMES.index(attribute)] = value
            handle, target = (
                np.asarray(landmark_places(kind, jnp.asarray(a), side))[0, point].round() for a in (start, wanted)
            )
            ws = model.mapping(z)
            result = drag_one(
                model,
                ws,
                np.clip(handle, 0, side - 1)[None],
                np.clip(target, 0, side - 1)[None],
                recipe="published",
                settings=settings,
            )
            assert result.ws is not None  # only invalid edits have none
            w = np.append(result.ws[:DEFAULT_LAYERS].mean(0), 1.0)
            ended = np.asarray(landmark_places(kind, jnp.asarray(w @ matrix, jnp.float32)[None], side))[0, point]
            reached.append(result.outcome == Outcome.REACHED)
            taken.append(result.steps)
            missed.append(np.linalg.norm(ended - target))
        rows.append(
            {
                "model": f"critters-{kind}",
                "block": block,
                "edits": edits,
                "reached": float(np.mean(reached)),
                "steps": float(np.mean(taken)),
                "landmark_px": float(np.mean(missed)),
            }
        )
    return rows


@click.command(context_settings={"show_default": True})
@click.option("--edits", default=24, help="Edits a block and model.")
@click.option("--rate", default=0.02, help="Learning rate.")
@click.option("--steps", default=150, help="The most iterations.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/feature-block"), help="Folder of the table.")
def main(edits: int, rate: float, steps: int, out: Path) -> None:
    """Measure drags on every feature block of the embedded models."""
    rows = [row for kind in ("dog", "cat") for row in measure(kind, edits, rate, steps)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.json").write_text(json.dumps(rows, indent=2) + "\n")
    table = Table("model", "block", "edits", "reached", "steps", "landmark to target, px")
    for row in rows:
        table.add_row(
            str(row["model"]),
            str(row["block"]),
            str(row["edits"]),
            f"{100 * float(row['reached']):.0f} %",
            f"{float(row['steps']):.0f}",
            f"{float(row['landmark_px']):.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
