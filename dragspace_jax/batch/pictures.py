"""Pictures of a batch: rendered in batches of their own while edits run, encoded beside them."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from jaxtyping import UInt8

from dragspace_jax.drag import DragSettings
from dragspace_jax.results import render_each, save_image
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.viz.points import draw_points
from dragspace_jax.viz.sheets import side_by_side

Pictures = Literal["none", "after", "pair"]
_TOGETHER = 16  # images that are waited for before any is rendered


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """What a picture shows.

    Attributes:
      path: its file.
      start, latents: one image's, before and after; `start` may be None where only the image after is shown.
      handles_yx, ended_yx, targets_yx: [N, 2], the handles before and after, and where they should go.
      settings: of the drag; noise and type of the images are theirs.
      images: uint8 [n, H, W, 3], those that are shown, where they are rendered already.
    """

    path: Path
    start: Latents | None
    latents: Latents
    handles_yx: np.ndarray
    ended_yx: np.ndarray
    targets_yx: np.ndarray
    settings: DragSettings
    images: UInt8[np.ndarray, "n H W 3"] | None = None


class PictureWriter:
    """Collects pictures and writes them when enough are there; as a context manager the rest at a good end.

    Args:
      model: the generator.
      kind: `after`: the image; `pair`: before and after with the points drawn; `none`: nothing is written.
    """

    def __init__(self, model: Generator, kind: Pictures) -> None:
        self._model, self._kind = model, kind
        self._waiting: dict[tuple[str, ...], list[Picture]] = {}
        self._pool = ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1)))
        self._saving: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def add(self, picture: Picture) -> None:
        """Take a picture to be written; now and then this renders those that are not yet.

        Raises:
          OSError: an earlier one could not be written.
        """
        if self._kind == "none":
            return
        if picture.images is not None:
            if len(self._saving) >= _TOGETHER:
                self._wait()
            self._saving.append(self._pool.submit(_save, picture, picture.images))
            return
        images_each = 2 if self._kind == "pair" else 1
        program = (picture.settings.noise, picture.settings.dtype, *picture.latents.offsets)
        waiting = self._waiting.setdefault(program, [])
        waiting.append(picture)
        if len(waiting) * images_each >= _TOGETHER:
            self._write(waiting)

    def _finish(self) -> None:
        for waiting in self._waiting.values():
            if waiting:
                self._write(waiting)
        self._wait()

    def _write(self, waiting: list[Picture]) -> None:
        pictures = waiting[:]
        shown = [(p.start, p.latents) if self._kind == "pair" else (p.latents,) for p in pictures]
        latents = [each for both in shown for each in both if each is not None]
        images = np.stack(list(render_each(self._model, Latents.stack(latents), pictures[0].settings)))
        self._wait()  # no more than one batch of images is kept in memory beside the new one
        each = len(latents) // len(pictures)
        for i, picture in enumerate(pictures):
            self._saving.append(self._pool.submit(_save, picture, images[i * each : (i + 1) * each]))
        waiting.clear()

    def _wait(self) -> None:
        for each in self._saving:
            each.result()
        self._saving.clear()


def _save(picture: Picture, images: np.ndarray) -> None:
    """Write the one image, or the two side by side."""
    if len(images) == 1:
        save_image(images[0], picture.path)
        return
    targets = picture.targets_yx[:, ::-1]
    handles = (picture.handles_yx, picture.ended_yx)
    marked = [draw_points(image, at[:, ::-1], targets) for image, at in zip(images, handles, strict=True)]
    save_image(side_by_side(marked, titles=["before", "after"]), picture.path)
