"""Errors of the predictor on held-out pictures: what its card says, and what its training tells on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from rich.progress import Progress

from dragspace_jax.checkpoint import load
from dragspace_jax.critters import ATTRIBUTES, KINDS, LANDMARKS, SEGMENTS, entangle, render
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.predictor import SIDE, Predictor, predict, unscaled_attributes
from dragspace_jax.stylegan2.mapping import normalise_second_moment
from dragspace_jax.stylegan2.rendering import render_images
from scripts.critter_descent import Values
from scripts.predictor_network import read
from scripts.predictor_pictures import OPENINGS, Data, as_floats, draw, drawn

HELD_OUT = 512  # of each kind
FEW = 32  # of these, for the log
STATES = {"closed": (0.0, 0.25), "narrow": (0.25, 0.6), "wide": (0.6, 1.0)}


@cache
def _drawing(kind: str) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda row: render(kind, row[None], SIDE).image[0])


def drawing_errors(data: Data, attributes: np.ndarray) -> np.ndarray:
    """Squared errors [B] between drawings and the drawings of attributes [B, A] that were read off pictures."""
    inside = np.clip(attributes, [a.low for a in ATTRIBUTES], [a.high for a in ATTRIBUTES]).astype(np.float32)
    redrawn = [np.asarray(_drawing(KINDS[kind])(row)) for kind, row in zip(data["kind"], inside, strict=True)]
    return np.square(np.stack(redrawn) - (data["image"] / np.float32(127.5) - 1.0)).mean((1, 2, 3))


@torch.no_grad()
def progress_line(values: Values, data: Data) -> str:
    """How well a few held-out drawings are read."""
    reading = read(values, as_floats(torch.from_numpy(data["image"])), torch.float32)
    missed = np.linalg.norm(reading.landmarks_yx.numpy() - data["landmark"], axis=-1).mean()
    error = np.square(reading.attributes.numpy() - data["scaled"]).mean(0)
    r2 = 1.0 - error / data["scaled"].var(0)
    eyes = r2[[NAMES.index(name) for name in OPENINGS if name.startswith("eye")]].mean()
    drawn_error = drawing_errors(data, np.asarray(unscaled_attributes(jnp.asarray(reading.attributes.numpy())))).mean()
    return f"held out {missed:.3f} px, R² {r2.mean():.3f}, of eyes {eyes:.3f}, drawing of the reading {drawn_error:.4f}"


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
