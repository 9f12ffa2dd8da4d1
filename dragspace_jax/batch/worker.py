"""A worker of a batch that many machines share: drags what it is given, and tells what has ended.

It knows nothing of who calls it. Edits run in a thread of their own, in lanes as on one machine; `exchange` brings new
ones and fetches those that ended, so one call at a time keeps a worker busy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from dragspace_jax.batch.pictures import Pictures
from dragspace_jax.building import build_generator
from dragspace_jax.compilation_cache import CacheError, enable_compilation_cache
from dragspace_jax.drag import BatchStats, DragResult, EditRequest, drag_many
from dragspace_jax.drag.intake import NOTHING_YET
from dragspace_jax.drag.measure import edits_together, measure
from dragspace_jax.drag.quality import Quality
from dragspace_jax.placement import one_device, placed, running_on
from dragspace_jax.results import render_each, render_pair
from dragspace_jax.stylegan2 import Latents
from dragspace_jax.stylegan2.config import GeneratorConfig

_SECONDS_TO_WAIT = 0.5  # for a result, until a call returns without one
_SECONDS_WITHOUT = 0.02  # for an edit, until the lanes go on without


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """An edit that a worker has finished.

    Attributes:
      result: without model, edit and trace.
      quality: None if it is invalid.
      images: uint8 [n, H, W, 3], those that its picture shows; None without pictures.
    """

    result: DragResult
    quality: Quality | None = None
    images: UInt8[np.ndarray, "n H W 3"] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
      config, values: the generator's architecture and parameters by name.
      lanes: edits at once, or `auto`.
      pictures: which images belong to a result.
      platform: of the devices to use, all that the worker's process sees; None: what JAX prefers.
      cores: how many cores are the worker's, on a CPU; None: all.
      keeps_programs: whether compiled programs are kept in the user's cache folder.
    """

    config: GeneratorConfig
    values: Mapping[str, np.ndarray]
    lanes: int | Literal["auto"]
    pictures: Pictures
    platform: str | None = None
    cores: int | None = None
    keeps_programs: bool = False


class Worker:
    """Drags edits as they come.

    Args:
      options: how.
      rank: its number among the workers, from 0.
      fetch: reference of a space, as it comes with an edit → the space.
    """

    def __init__(self, options: WorkerOptions, rank: int, fetch: Callable[[Any], Any]) -> None:
        if options.cores is not None:
            _confine(options.cores, rank)
        if options.keeps_programs:
            with contextlib.suppress(CacheError):  # slower, and no harm
                enable_compilation_cache()
        self._options, self._fetch = options, fetch
        self._device = one_device(options.platform)
        self._model = placed(build_generator(options.config, options.values), self._device)
        self._given: queue.SimpleQueue[tuple[EditRequest, Any]] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Ended | BaseException] = queue.SimpleQueue()
        self._last = False
        self._thread: threading.Thread | None = None
        self._stats = BatchStats()
        self._before = BatchStats()  # of the rounds that are over

    def exchange(self, edits: Sequence[tuple[EditRequest, Any]], *, last: bool) -> tuple[list[Ended], BatchStats]:
        """Take edits, each with the reference of its space, and give those that have ended, if need be after a while.

        Args:
          edits: further ones; none is fine.
          last: whether lanes that fall empty may go, as nothing more is expected.

        Raises:
          Exception: what ended the work.
        """
        for each in edits:
            self._given.put(each)
        self._last = last
        if (self._thread is None or not self._thread.is_alive()) and not self._given.empty():
            self._before, self._stats = _sum(self._before, self._stats), BatchStats()
            self._thread = threading.Thread(target=self._drag, daemon=True)
            self._thread.start()
        ended: list[Ended] = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._raised(self._ended.get(timeout=_SECONDS_TO_WAIT)))
            while True:
                ended.append(self._raised(self._ended.get_nowait()))
        return ended, _sum(self._before, self._stats)

    @staticmethod
    def _raised(each: Ended | BaseException) -> Ended:
        if isinstance(each, BaseException):
            raise each
        return each

    def _drag(self) -> None:
        try:
            with running_on(self._device):
                batch = drag_many(self._model, self._edits(), lanes=self._options.lanes, device=self._options.platform)
                waiting: list[DragResult] = []
                for result in batch:
                    self._stats = batch.stats
                    if result.edit is None:
                        self._ended.put(Ended(result=result))
                        continue
                    waiting.append(result)
                    if len(waiting) >= edits_together(self._model):
                        self._finish(waiting)
                self._finish(waiting)
                self._stats = batch.stats
        except BaseException as error:  # the caller's thread tells it
            self._ended.put(error)

    def _edits(self) -> Iterator[Any]:
        while True:
            try:
                request, space = self._given.get(timeout=_SECONDS_WITHOUT)
            except queue.Empty:
                if self._last:
                    return
                yield NOTHING_YET
            else:
                yield dataclasses.replace(request, space=self._fetch(space))

    def _finish(self, waiting: list[DragResult]) -> None:
        """Measure and render what waits."""
        if not waiting:
            return
        qualities, images = measure(waiting), self._images(waiting)
        for result, quality, shown in zip(waiting, qualities, images, strict=True):
            told = dataclasses.replace(result, edit=None, model=None, trace=None)
            self._ended.put(Ended(result=told, quality=quality, images=shown))
        waiting.clear()

    def _images(self, results: Sequence[DragResult]) -> list[np.ndarray | None]:
        """Those that each result's picture shows."""
        if self._options.pictures == "none":
            return [None] * len(results)
        if self._options.pictures == "pair":
            return [render_pair(result) for result in results]
        images: list[np.ndarray | None] = []
        for result in results:
            assert result.edit is not None  # only invalid edits have none
            latents = Latents.stack([result.latents])
            images.append(np.stack(list(render_each(self._model, latents, result.edit.settings, together=1))))
        return images


def _confine(cores: int, rank: int) -> None:
    """Leave the other cores to other workers; before the first computation, since XLA counts them once."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[(rank * cores + i) % len(allowed)] for i in range(cores)})


def _sum(before: BatchStats, now: BatchStats) -> BatchStats:
    """The work of all rounds, and how the present one stands."""
    added = ("lane_steps", "lane_steps_executed", "handle_steps", "handle_steps_executed", "done", "compile_seconds")
    total = {name: getattr(before, name) + getattr(now, name) for name in added}
    return dataclasses.replace(now, most_lanes=max(before.most_lanes, now.most_lanes), **total)
