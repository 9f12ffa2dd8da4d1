"""How near to its true result a drag comes, and what it changed beside."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.critters import render
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.critters.realism import nearest_drawing
from dragspace_jax.drag.settings import stop_distance
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from scripts.dragganspace.edits import StudyEdit
from scripts.least_change.solvers import latents_of

GROUPS = {
    "mouth": ("lip_bottom by mouth_opening",),
    "left lid": ("eyelid_left_top by eye_opening_left",),
    "right lid": ("eyelid_right_top by eye_opening_right",),
    "left ear": ("ear_left_tip by ear_left_raise",),
    "right ear": ("ear_right_tip by ear_right_raise",),
    "roll": ("head_top by roll",),
    "sideways": ("cheek_left by head_x",),
    "nod": ("nose by pitch",),
    "turn": ("nose by yaw",),
    "pose": ("nose by pose", "chin by pose", "ear_right_tip by pose"),
}
"""Kinds of change; whole poses come last and are left out of the mean of kinds."""


def scores(
    model: Generator,
    kind: str,
    evaluator: Evaluator,
    edits: list[StudyEdit],
    done: dict[str, np.ndarray],
    *,
    realism: bool,
) -> dict[str, np.ndarray]:
    """Figures of every edit, by name; see `COLUMNS`."""
    images, starts = render_images(model, latents_of(done)), render_images(model, np.stack([edit.ws for edit in edits]))
    draw = jax.jit(lambda attributes: render(kind, attributes[None], model.config.resolution).image[0])
    truth = np.stack([np.asarray(draw(jnp.asarray(edit.wanted))) for edit in edits])
    region = np.stack([edit.region for edit in edits])
    seen = evaluator.predict(images).landmarks_yx
    changed = np.square(images - starts).mean(-1)
    pca = cached_pca(model)
    white = pca.truncated(64).whitened(1.0)

    def distance(ws: np.ndarray) -> np.ndarray:
        moving = jnp.asarray(ws)[:, : white.layers]
        return np.asarray(jax.vmap(lambda each: jnp.sqrt(jnp.mean(jnp.square(white.coordinates(each)))))(moving))

    return {
        "landmark": np.array(
            [
                np.linalg.norm(places[edit.landmarks] - edit.targets_yx, axis=1).mean()
                for places, edit in zip(seen, edits, strict=True)
            ]
        ),
        "error": np.square(images - truth).mean((1, 2, 3)),
        "nothing": np.square(starts - truth).mean((1, 2, 3)),
        "outside": (changed * ~region).sum((1, 2)) / np.maximum((~region).sum((1, 2)), 1),
        "distance": distance(done["ws"]) / distance(np.stack([edit.ws for edit in edits])),
        **({"realism": nearest_drawing(evaluator.predictor, kind, images)[1]} if realism else {}),
        "iterations": done["iterations"],
        "reached": (done["left"] <= stop_distance(model.config.resolution)).astype(float),
        "seconds": done["seconds"],
    }


COLUMNS = {
    "landmark": "true landmark error, px",
    "error": "squared error to the truth",
    "outside": "change outside",
    "distance": "distance from W over the start's",
    "realism": "realism",
    "iterations": "iterations",
    "reached": "arrives within the published tolerance",
    "seconds": "seconds an edit",
}


def over_nothing(figures: dict[str, np.ndarray], names: np.ndarray) -> dict[str, float]:
    """Error to the truth over that of doing nothing, by kind of change."""
    return {
        group: float(figures["error"][chosen].mean() / figures["nothing"][chosen].mean())
        for group, members in GROUPS.items()
        if (chosen := np.isin(names, members)).any()
    }


def interval(values: np.ndarray) -> str:
    """Mean and half of its 95 % interval."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.4g} ± {half:.2g}"


def table(found: dict[str, dict[str, np.ndarray]], names: np.ndarray) -> str:
    """Markdown: figures of every solver, and error over doing nothing by kind of change."""
    columns = [column for column in COLUMNS if column in next(iter(found.values()))]
    lines = ["| solver | " + " | ".join(COLUMNS[column] for column in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, figures in found.items():
        lines.append(f"| {name} | " + " | ".join(interval(figures[column]) for column in columns) + " |")
    groups = list(over_nothing(next(iter(found.values())), names))
    lines += ["", "| error over doing nothing | " + " | ".join(groups) + " | mean without pose |"]
    lines.append("|---" * (len(groups) + 2) + "|")
    for name, figures in found.items():
        by_group = over_nothing(figures, names)
        mean = float(np.mean([value for group, value in by_group.items() if group != "pose"]))
        lines.append(f"| {name} | " + " | ".join(f"{by_group[group]:.2f}" for group in groups) + f" | {mean:.2f} |")
    return "\n".join(lines) + "\n"
