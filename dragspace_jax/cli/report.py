"""What a drag leaves in its folder: pictures, animation, trace, latents, result."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from PIL import Image

from dragspace_jax.drag import DragResult, DragSettings
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.animation import frame_indices, save_gif
from dragspace_jax.viz.points import draw_points
from dragspace_jax.viz.sheets import side_by_side, to_uint8

Pictures = Literal["none", "final", "all"]


def versions() -> dict[str, str]:
    """Versions of what decides a result's numbers, and the device."""
    names = ("dragspace-jax", "jax", "jaxlib", "flax", "optax", "numpy")
    device = jax.devices()[0]
    return {name: importlib.metadata.version(name) for name in names} | {
        "device": f"{device.platform}: {device.device_kind}"
    }


def summary(result: DragResult) -> dict[str, Any]:
    """Outcome, steps, distances in px and seconds, as JSON holds them."""
    return {
        "outcome": result.outcome.label,
        "steps": result.steps,
        "distances_px": [round(float(d), 3) for d in result.distances],
        "seconds": round(result.seconds, 3),
        "seconds_to_first_chunk": round(result.seconds_to_first, 3),
    }


def write_drag(
    out: Path,
    model: Generator,
    start: np.ndarray,
    result: DragResult,
    settings: DragSettings,
    *,
    pictures: Pictures,
    details: dict[str, Any],
) -> None:
    """Write a drag's folder.

    Args:
      out: the folder, made if need be.
      model: the generator.
      start: [L, D], the latents the drag started from.
      result: the finished drag.
      settings: what it ran with, resolved.
      pictures: `none`, `final` (before, after, drag) or `all` (drag.gif too).
      details: further settings for result.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "latents.npz", ws=result.ws)
    np.savez(out / "trace.npz", handles=result.handles_yx[..., ::-1], latents=result.latents, loss=result.loss)
    record = {
        **summary(result),
        "settings": {**dataclasses.asdict(settings), **details},
        "versions": versions(),
    }
    (out / "result.json").write_text(json.dumps(record, indent=2) + "\n")
    if pictures != "none":
        _write_pictures(out, model, start, result, settings, animated=pictures == "all")


def _write_pictures(
    out: Path, model: Generator, start: np.ndarray, result: DragResult, settings: DragSettings, *, animated: bool
) -> None:
    path, targets = result.handles_yx[..., ::-1], result.targets_yx[:, ::-1]
    chosen = frame_indices(result.steps) if animated else [result.steps - 1]
    # The tracked positions of iteration t belong to the latents before its update (DESIGN §5.4).
    before_update = np.concatenate([start[None], result.latents[:-1]])
    ws = np.concatenate([start[None], result.ws[None], before_update[chosen]])
    images = to_uint8(render_images(model, ws, noise=settings.noise, dtype=settings.dtype))
    before, after, frames = images[0], images[1], images[2:]
    Image.fromarray(before).save(out / "before.png")
    Image.fromarray(after).save(out / "after.png")
    marked = [draw_points(before, path[0], targets), draw_points(after, path[-1], targets, path)]
    Image.fromarray(side_by_side(marked, titles=["before", "after"])).save(out / "drag.png")
    if animated:
        drawn = [draw_points(f, path[t], targets, path[: t + 1]) for f, t in zip(frames, chosen, strict=True)]
        save_gif(drawn, out / "drag.gif")
