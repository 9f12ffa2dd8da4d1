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

from dragspace_jax.cli.folders import make_folder
from dragspace_jax.drag import DragResult, DragSettings
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.parameters import fingerprint
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.animation import frame_indices, save_gif
from dragspace_jax.viz.points import draw_points
from dragspace_jax.viz.sheets import side_by_side, to_uint8

Pictures = Literal["none", "final", "all"]
FILES = ("before.png", "after.png", "drag.png", "drag.gif", "trace.npz", "latents.npz", "result.json")


def versions() -> dict[str, str]:
    """Versions of what decides a result's numbers, and the device."""
    names = ("dragspace-jax", "jax", "jaxlib", "flax", "optax", "numpy")
    device = jax.devices()[0]
    return {name: importlib.metadata.version(name) for name in names} | {
        "device": f"{device.platform}: {device.device_kind}"
    }


def summary(result: DragResult) -> dict[str, Any]:
    """Outcome, steps, distances in px and seconds, as JSON holds them.

    Distances are those tracked in the last iteration, before its update.
    """
    return {
        "outcome": result.outcome.label,
        "steps": result.steps,
        "distances_px": [round(float(d), 3) for d in result.distances],
        "seconds": round(result.seconds, 3),
        "seconds_to_first_iteration": round(result.seconds_to_first, 3),
    }


def prepare_folder(out: Path) -> None:
    """Make a drag's folder, and clear it of an earlier drag's files, so that nothing in it belongs to another."""
    make_folder(out)
    for name in FILES:
        (out / name).unlink(missing_ok=True)


def write_latents(path: Path, ws: np.ndarray, start: np.ndarray, model: str) -> None:
    """A drag's latents: `ws` after it and `start` before it, [L, D] each, and the fingerprint of their model."""
    np.savez(path, ws=ws, start=start, model=np.asarray(model))


def write_drag(
    out: Path,
    model: Generator,
    result: DragResult,
    settings: DragSettings,
    *,
    pictures: Pictures,
    details: dict[str, Any],
) -> None:
    """Fill a drag's folder; result.json comes last, so where it stands the rest is whole.

    Args:
      out: the folder, prepared.
      model: the generator.
      result: the finished drag.
      settings: what it ran with, resolved.
      pictures: `none`, `final` (before, after, drag) or `all` (drag.gif too).
      details: further settings for result.json.
    """
    write_latents(out / "latents.npz", result.ws, result.start, fingerprint(model))
    np.savez(out / "trace.npz", handles=result.handles_yx[..., ::-1], latents=result.latents, loss=result.loss)
    record = {
        **summary(result),
        "settings": {**dataclasses.asdict(settings), **details},
        "versions": versions(),
    }
    if pictures != "none":
        _write_pictures(out, model, result, settings, animated=pictures == "all")
    (out / "result.json").write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")


def _write_pictures(out: Path, model: Generator, result: DragResult, settings: DragSettings, *, animated: bool) -> None:
    path, targets = result.handles_yx[..., ::-1], result.targets_yx[:, ::-1]
    chosen = frame_indices(result.steps) if animated else [result.steps - 1]
    # The tracked positions of iteration t belong to the latents before its update (DESIGN §5.4).
    before_update = np.concatenate([result.start[None], result.latents[:-1]])
    ws = np.concatenate([result.start[None], result.ws[None], before_update[chosen]])
    images = to_uint8(render_images(model, ws, noise=settings.noise, dtype=settings.dtype))
    before, after, frames = images[0], images[1], images[2:]
    Image.fromarray(before).save(out / "before.png")
    Image.fromarray(after).save(out / "after.png")
    marked = [draw_points(before, path[0], targets), draw_points(after, path[-1], targets, path)]
    Image.fromarray(side_by_side(marked, titles=["before", "after"])).save(out / "drag.png")
    if animated:
        drawn = [draw_points(f, path[t], targets, path[: t + 1]) for f, t in zip(frames, chosen, strict=True)]
        save_gif(drawn, out / "drag.gif")
