"""What a drag leaves in its folder: pictures, animation, trace, latents, result."""

from __future__ import annotations

import importlib.metadata
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dragspace_jax.arrays import DAMAGED
from dragspace_jax.drag import DragResult, DragSettings
from dragspace_jax.drag.quality import Quality
from dragspace_jax.drag.settings import SETTINGS
from dragspace_jax.folders import locked, refuse_results, staged, whole_file
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.networks.rendering import Renders, render_batches, stacked
from dragspace_jax.placement import present_device
from dragspace_jax.spaces.options import space_record
from dragspace_jax.viz.animation import frame_indices, save_gif
from dragspace_jax.viz.points import draw_points
from dragspace_jax.viz.sheets import side_by_side, to_uint8

Pictures = Literal["none", "final", "all"]
FILES = ("before.png", "after.png", "drag.png", "drag.gif", "trace.npz", "latents.npz", "result.json")
_TOGETHER = 4
"""Images rendered at once. Always so many, so that there is one program for any number of them."""


def versions() -> dict[str, str]:
    """Versions of what decides a result's numbers, and the device."""
    names = ("dragspace-jax", "jax", "jaxlib", "flax", "optax", "numpy")
    device = present_device()
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
        "compile_seconds": round(result.compile_seconds, 3),
    }


def quality_record(quality: Quality | None, pictures: UInt8[np.ndarray, "2 H W 3"] | None) -> dict[str, Any]:
    """The key `quality` of a result, or nothing where it has none.

    Args:
      quality: the edit's.
      pictures: before and after, from which SSIM and PSNR to the start come; None leaves them out.
    """
    if quality is None:
        return {}
    record = quality.record()
    if pictures is not None:
        from dragspace_jax.metrics.preservation import preservation  # scikit-image, which little else asks for

        before, after = np.asarray(pictures, np.float32) / 127.5 - 1.0
        kept = preservation(before, after, np.ones(before.shape[:2], bool))
        known = {"ssim": round(kept.ssim_inside, 4), "psnr_db": round(kept.psnr_inside, 2)}
        record |= {name: value for name, value in known.items() if value == value}  # SSIM of tiny images is nan
    return {"quality": record}


def write_latents(path: Path, latents: Any, start: Any, model: str) -> None:
    """A drag's latents: `ws` after it and `start` before it, [L, D] each, and the fingerprint of their model.

    Offsets of styles stand beside them as `styles/NAME` and `start/styles/NAME`. Of a BigGAN it is `z` and `start/z`,
    and so on.

    Raises:
      OSError: they cannot be written; nothing new is at `path` then.
    """
    with whole_file(path) as file:
        before = {"start" if name == "ws" else f"start/{name}": array for name, array in start.arrays().items()}
        np.savez(file, **latents.arrays(), **before, model=np.asarray(model))  # type: ignore[arg-type]


def latents_are_whole(path: Path, model: str) -> bool:
    """Whether `path` is what `write_latents` wrote for the model with this fingerprint; their numbers are not read.

    A file that was cut has lost the list of its contents, which stands at its end.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if not {"ws.npy", "start.npy", "model.npy"} <= set(archive.namelist()):
                return False
            with archive.open("model.npy") as file:
                return str(np.lib.format.read_array(file, allow_pickle=False)) == model
    except (OSError, *DAMAGED):  # the caller drags the edit again
        return False


def refuse_drag(out: Path, *, overwrite: bool) -> None:
    """Raises FolderError if a drag's files are in the folder that the caller has not said to overwrite."""
    refuse_results((out / name for name in FILES), overwrite=overwrite)


def save_drag(
    out: str | Path,
    result: DragResult,
    *,
    pictures: Pictures = "all",
    details: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """`write_drag` in a folder of its own: no other run writes there meanwhile, and no drag was there.

    Args:
      out, result, pictures, details: as `write_drag` takes them.
      overwrite: whether an earlier drag's files may be there, to be replaced.

    Raises:
      FolderError: they are there and may not, another run writes there, or nothing can be written.
      OSError: a file cannot be written; the error names it.
    """
    out = Path(out)
    with locked(out):
        refuse_drag(out, overwrite=overwrite)
        write_drag(out, result, pictures=pictures, details=details)


def write_drag(out: Path, result: DragResult, *, pictures: Pictures, details: Mapping[str, Any] | None = None) -> None:
    """Fill a drag's folder; result.json comes last, so where it stands the rest is whole.

    before.png, after.png, drag.png (both with the points), drag.gif; trace.npz: `handles` [T, N, 2] (x, y), `latents`
    [T, L, D] (of a BigGAN z, [T, Z]), `loss` [T]; latents.npz: `ws` and `start` [L, D], for a further edit;
    result.json. An earlier drag's files go first, so that nothing in the folder belongs to another.

    Args:
      out: the folder, which is there.
      result: the finished drag, with its trace.
      pictures: `none`, `final` (before, after, drag) or `all` (drag.gif too).
      details: what else to say in result.json.

    Raises:
      OSError: a file cannot be written; the error names it.
    """
    assert result.edit is not None  # an edit that ran has one, and a trace
    assert result.trace is not None
    for name in FILES:
        (out / name).unlink(missing_ok=True)
    write_latents(out / "latents.npz", result.latents, result.start, fingerprint(result.model))
    traced = result.traced_latents()
    with whole_file(out / "trace.npz") as file:
        np.savez(file, handles=result.trace.handles_yx[..., ::-1], latents=_moved(traced), loss=result.trace.loss)
    shown = None if pictures == "none" else _write_pictures(out, result, traced, animated=pictures == "all")
    record = {
        **summary(result),
        **quality_record(result.quality, shown),
        **(details or {}),
        "space": space_record(result.edit.space),
        "settings": settings_record(result.edit.settings),
        "fingerprint": fingerprint(result.model),
        "versions": versions(),
    }
    write_json(out / "result.json", record)


def _moved(latents: Any) -> np.ndarray:
    """What an edit moves of latents: the first of their arrays in files, ws or z."""
    return next(iter(latents.arrays().values()))


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write an object for people and programs to read. Raises OSError that names the file."""
    with whole_file(path) as file:
        file.write(json.dumps(record, indent=2, allow_nan=False).encode() + b"\n")


def settings_record(settings: DragSettings) -> dict[str, Any]:
    """Settings by their fields, as JSON holds them."""
    return {field: getattr(settings, field) for field in SETTINGS}


def render_each(
    model: Renders, latents: Any, settings: DragSettings, *, together: int = _TOGETHER
) -> Iterator[np.ndarray]:
    """The images of n latents, uint8 [H, W, 3] each, by one program, of `together` images, for any n."""
    for batch in render_batches(model, latents, noise=settings.noise, dtype=settings.dtype, together=together):
        yield from to_uint8(batch)


def render_pair(result: DragResult) -> UInt8[np.ndarray, "2 H W 3"]:
    """The images before and after a drag that ran, by a program of their own: nothing is filled up."""
    assert result.edit is not None
    settings, both = result.edit.settings, stacked([result.start, result.latents])
    return to_uint8(
        np.concatenate(list(render_batches(result.model, both, noise=settings.noise, dtype=settings.dtype)))
    )


def save_image(image: np.ndarray, path: Path) -> None:
    """Write a PNG, whole or not at all. Raises OSError that names the file."""
    with staged(path) as staging:
        Image.fromarray(image).save(staging, compress_type=zlib.Z_RLE)  # a third of the time, a tenth larger


def _write_pictures(out: Path, result: DragResult, traced: Any, *, animated: bool) -> UInt8[np.ndarray, "2 H W 3"]:
    """Pictures of a drag whose latents after every iteration, [T, ...], are `traced`; its images before and after."""
    assert result.edit is not None
    assert result.trace is not None
    path, targets = result.trace.handles_yx[..., ::-1], result.edit.targets_yx[:, ::-1]
    chosen = frame_indices(result.steps) if animated else [0]
    # The tracked positions of iteration t belong to the latents before its update, those of the first to the start
    # (docs/design.md, fact 4).
    frames_of = [result.start if t == 0 else jax.tree.map(lambda leaf, t=t: leaf[t - 1], traced) for t in chosen]
    images = render_each(result.model, stacked([result.latents, *frames_of]), result.edit.settings)
    after, before = next(images), next(images)
    save_image(before, out / "before.png")
    save_image(after, out / "after.png")
    marked = [draw_points(before, path[0], targets), draw_points(after, path[-1], targets, path)]
    save_image(side_by_side(marked, titles=["before", "after"]), out / "drag.png")
    if animated:
        frames = zip(chain([before], images), chosen, strict=True)
        drawn = [draw_points(frame, path[t], targets, path[: t + 1]) for frame, t in frames]
        with staged(out / "drag.gif") as staging:
            save_gif(drawn, staging)
    return np.stack([before, after])
