"""Measure models of critters against the drawings of the same latents, on samples that no training saw.

    python -m scripts.evaluate_critters dog critters-dog out/new/critters-dog --out out/evaluation-dog.json

A column a model. Shares of shut eyes, R² and landmarks are what the predictor reads off the pictures, against the
truth; beside them stands what it reads off the drawings. An eye is shut if it is less than a quarter open. R² is that
of the reading itself, with no line fitted. Realism is the squared error to the nearest drawing
(`dragspace_jax.critters.realism`), of the first samples only, as it takes 60 drawings with their gradients a picture.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from dragspace_jax.checkpoint import load
from dragspace_jax.critters import KINDS, LANDMARKS, SEGMENTS, Picture, entangle, render
from dragspace_jax.critters.attributes import NAMES, unsquashed
from dragspace_jax.critters.predictor import SIDE, Prediction, Predictor, load_predictor, predict
from dragspace_jax.critters.realism import nearest_drawing
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.mapping import normalise_second_moment
from dragspace_jax.stylegan2.rendering import render_images

SEED = 1_300_000_013
SHUT = 0.25
PARTS = {"eyes": ("eye_left", "eye_right"), "mouth": ("mouth",), "nose": ("nose",)}
EYES = [NAMES.index("eye_opening_left"), NAMES.index("eye_opening_right")]
MOUTH = [NAMES.index("mouth_opening")]
Scores = dict[str, float]


def drawings(kind: str, attributes: np.ndarray) -> Picture:
    """Pictures of attributes [B, A], drawn one at a time, as arrays of numpy."""
    one = jax.jit(lambda row: jax.tree.map(lambda leaf: leaf[0], render(kind, row[None], SIDE)))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(jax.tree.map(np.asarray, one(row)) for row in attributes))


def picture_errors(images: np.ndarray, drawn: Picture) -> Scores:
    """Mean squared errors of images [B, H, W, 3] in [-1, 1] to the drawings, in all and by part."""
    square = np.square(images - drawn.image).mean(-1)
    scores = {"error": float(square.mean())}
    for name, segments in PARTS.items():
        inside = np.isin(drawn.segmentation, [SEGMENTS.index(segment) for segment in segments])
        scores[f"error, {name}"] = float(square[inside].mean())
    return scores


def reading_scores(read: Prediction, truth: np.ndarray, drawn: Picture) -> Scores:
    """What readings say about openings (true attributes [B, A]) and landmarks."""
    scores = {}
    for name, columns in {"eyes": EYES, "mouth": MOUTH}.items():
        found, wanted = read.attributes[:, columns], truth[:, columns]
        scores[f"R² of opening, {name}"] = float(1 - np.square(found - wanted).mean() / wanted.var())
    eyes, known = read.attributes[:, EYES], truth[:, EYES]
    scores["eyes shut, share"] = float((eyes < SHUT).mean())
    scores["opening where shut in truth"] = float(eyes[known < SHUT].mean())
    missed = np.linalg.norm(read.landmarks_yx - drawn.landmarks_yx, axis=-1)
    missed[((drawn.landmarks_yx < 0) | (drawn.landmarks_yx > SIDE - 1)).any(-1)] = np.nan
    groups = {"lids": "eyelid_", "upper lids": "_top", "ear tips": "_tip", "all": ""}
    for name, part in groups.items():
        chosen = [
            i for i, landmark in enumerate(LANDMARKS) if part in landmark and (part != "_top" or "lid" in landmark)
        ]
        scores[f"landmarks, {name}, px"] = float(np.nanmean(missed[:, chosen]))
    return scores


def probe(model: Generator) -> Scores:
    """R² of the unsquashed variables as linear functions of w, on 5,000 latents after a fit to 20,000."""
    z = jax.random.normal(jax.random.key(SEED + 1), (25_000, model.config.z_dim))
    w = np.asarray(model.mapping.trunk(z, None), np.float64)
    w = np.concatenate([w, np.ones((len(w), 1))], 1)
    wanted = np.asarray(unsquashed(normalise_second_moment(z)), np.float64)
    matrix, *_ = np.linalg.lstsq(w[:20_000], wanted[:20_000], rcond=None)
    r2 = 1 - np.square(wanted[20_000:] - w[20_000:] @ matrix).mean(0) / wanted[20_000:].var(0)
    return {"probe of w, least R²": float(r2.min()), "probe of w, mean R²": float(r2.mean())}


def realism(predictor: Predictor, kind: str, images: np.ndarray) -> Scores:
    """Mean squared error to the nearest drawing."""
    return {"realism": float(nearest_drawing(predictor, kind, images)[1].mean())}


@click.command(context_settings={"show_default": True})
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("models", nargs=-1, required=True)
@click.option("--samples", default=2000, help="Latents to compare on.")
@click.option("--realism-samples", default=200, help="Of these, how many to search the nearest drawing of.")
@click.option("--predictor", type=click.Path(path_type=Path), default=None, help="Weights to read with.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="A json of all figures.")
def main(
    kind: str, models: tuple[str, ...], samples: int, realism_samples: int, predictor: Path | None, out: Path | None
) -> None:
    """Measure MODELS of one KIND (model folders or names) and print a table."""
    reader = load_predictor(predictor)
    z = jax.random.normal(jax.random.key(SEED), (samples, 32))
    truth = np.asarray(entangle(normalise_second_moment(z)))
    drawn = drawings(kind, truth)
    few = slice(0, realism_samples)
    columns: dict[str, Scores] = {
        "drawings": {
            **reading_scores(predict(reader, np.asarray(drawn.image)), truth, drawn),
            "eyes shut in truth, share": float((truth[:, EYES] < SHUT).mean()),
            **(realism(reader, kind, np.asarray(drawn.image[few])) if realism_samples else {}),
        }
    }
    for name in models:
        model = load(name)
        images = np.clip(render_images(model, np.asarray(model.mapping(z))), -1.0, 1.0)
        columns[name] = {
            **picture_errors(images, drawn),
            **reading_scores(predict(reader, images), truth, drawn),
            **(realism(reader, kind, images[few]) if realism_samples else {}),
            **probe(model),
        }
    table = Table(kind, *columns)
    for row in dict.fromkeys(key for scores in columns.values() for key in scores):
        table.add_row(row, *(f"{scores[row]:.4f}" if row in scores else "" for scores in columns.values()))
    Console(width=140).print(table)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(columns, indent=1) + "\n")


if __name__ == "__main__":
    main()
