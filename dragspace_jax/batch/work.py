"""The edits of a batch as the lanes ask for them, and their results as they come: both sides of the folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from typing import Any, Literal

import numpy as np

from dragspace_jax.batch.folder import BatchFolder, Entry
from dragspace_jax.batch.lines import EditLine, LineError, parse_line
from dragspace_jax.batch.mirror import Mirror
from dragspace_jax.batch.names import BatchLines
from dragspace_jax.batch.on_ray import RayWorkers
from dragspace_jax.batch.pictures import Picture, Pictures, PictureWriter
from dragspace_jax.batch.ray_cluster import Cluster
from dragspace_jax.batch.requests import RequestMaker
from dragspace_jax.batch.resume import Digests
from dragspace_jax.batch.summary import BatchState, BatchSummary
from dragspace_jax.batch.worker import Ended
from dragspace_jax.drag import Batch, BatchStats, DragResult, DragSettings, EditRequest, Outcome, drag_many
from dragspace_jax.drag.measure import edits_together, measure
from dragspace_jax.drag.quality import Quality
from dragspace_jax.drag.recipes import SETTING_KEYS
from dragspace_jax.errors import DragspaceError, renamed
from dragspace_jax.inputs import read_latents
from dragspace_jax.results import quality_record, render_pair, write_json
from dragspace_jax.stylegan2 import Generator

_SECONDS_BETWEEN_SUMMARIES = 2.0
_KEYS = {
    **{key: key for key in ("mask", "region", "segment", "segments")},
    **{field: key for key, field in SETTING_KEYS.items()},
}
_log = logging.getLogger(__name__)


class BatchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a batch; what had finished is in the folder, and `resume` goes on with it.

    Attributes:
      summary: what the batch came to till then.
    """

    def __init__(self, summary: BatchSummary) -> None:
        super().__init__()
        self.summary = summary


class BatchWork:
    """Reads lines as the lanes need edits, and keeps results as they come."""

    def __init__(
        self,
        lines: BatchLines,
        digests: Digests,
        model: Generator,
        maker: RequestMaker,
        folder: BatchFolder,
        pictures: Pictures,
        resolved: Mapping[str, Any],
        earlier: Mapping[str, Any],
        on_progress: Callable[[BatchState], None] | None,
        mirror: Mirror | None = None,
    ) -> None:
        self._lines, self._digests, self._model, self._maker, self._folder = lines, digests, model, maker, folder
        self._names = lines.names(folder.stems())
        self._pictures: Pictures = pictures
        self._writer = PictureWriter(model, pictures)
        self._resolved, self._earlier, self._on_progress = resolved, earlier, on_progress
        self._running: dict[str, tuple[Entry, EditRequest]] = {}
        self._waiting: list[DragResult] = []  # finished, and measured together
        self._settled = self._dragged = self._steps = 0
        self._began = self._kept = time.perf_counter()
        self._mirror = mirror
        self._batch: Batch | RayWorkers | None = None

    def run(self, lanes: int | Literal["auto"], *, device: Any = None, cluster: Cluster | None = None) -> BatchSummary:
        """Drag everything that the folder does not have yet, here or on a cluster; the summary is in the folder however
        it ends.
        """
        if cluster is None:
            batch = drag_many(self._model, self._requests(), lanes=lanes, device=device)
        else:
            batch = RayWorkers(
                self._model,
                self._requests(),
                cluster,
                lanes=lanes,
                pictures=self._pictures,
                remaining=lambda: self._lines.total - self._settled,
            )
        self._batch = batch
        self._keep_summary(interrupted=True)  # as it is until the end
        interrupted = False
        with nullcontext() if self._mirror is None else self._mirror, self._writer:
            try:
                with closing(iter(batch)) as results:  # type: ignore[type-var]  # both are generators
                    for result in results:
                        self._take(result)
                self._keep_waiting()
            except KeyboardInterrupt:
                interrupted = True  # what finished is still measured, and its pictures are made
                self._keep_waiting()
            except SystemExit:  # the program is told to end, by a signal
                self._keep_summary(interrupted=True)
                raise
        summary = self._keep_summary(interrupted=interrupted)
        if interrupted:
            raise BatchInterrupted(summary)
        return summary

    def _state(self) -> BatchState:
        stats = BatchStats() if self._batch is None else self._batch.stats  # those of the present iteration
        return BatchState(
            settled=self._settled,
            total=self._lines.total,
            dragged=self._dragged,
            steps=self._steps,
            seconds=time.perf_counter() - self._began - stats.compile_seconds,
            compile_seconds=stats.compile_seconds,
            stats=stats,
            workers=self._batch.workers if isinstance(self._batch, RayWorkers) else 0,
        )

    def _keep_summary(self, *, interrupted: bool) -> BatchSummary:
        self._kept = time.perf_counter()
        summary = BatchSummary(
            outcomes=dict(self._folder.counts),
            flagged=self._folder.flagged,
            steps=self._folder.steps,
            interrupted=interrupted,
            state=self._state(),
            earlier=self._earlier,
            resolved=self._resolved,
        )
        write_json(self._folder.out / "summary.json", summary.record())
        return summary

    def _settle(self) -> None:
        self._settled += 1
        if self._on_progress is not None:
            self._on_progress(self._state())
        if time.perf_counter() - self._kept > _SECONDS_BETWEEN_SUMMARIES:
            self._keep_summary(interrupted=True)  # what it would be if this run were killed

    def _requests(self) -> Iterator[EditRequest]:
        """The edits of the file that are still to run."""
        for number, raw in self._lines.read():
            request = self._request(number, raw)
            if request is None:
                self._settle()
            else:
                yield request

    def _request(self, number: int, raw: bytes) -> EditRequest | None:
        """The line's edit; None if an earlier run finished it, or if there is none, which is recorded at once."""
        digest = self._digests.of(raw)
        try:
            line = parse_line(raw, self._model.config.resolution)
            name = self._names.claim(line.id, number)
        except LineError as error:
            name = self._names.claim_anyhow(error.id, number)
            self._folder.write_invalid(Entry(id=name, line=number, digest=digest), str(error))
            return None
        if name in self._folder.finished:
            self._complete(self._folder.finished[name], line)
            return None
        try:
            request = self._maker.request(line, name)
        except (DragspaceError, OSError) as error:
            self._folder.write_invalid(Entry(id=name, line=number, digest=digest), _reason(error))
            return None
        entry = Entry(id=name, line=number, digest=digest, stem=self._names.stem(name))
        self._running[name] = (entry, request)
        return request

    def _complete(self, record: dict[str, Any], line: EditLine) -> None:
        """Make the picture of an edit that an earlier run finished, if that run ended before its picture was there."""
        if self._pictures == "none" or "image" not in record or (self._folder.out / record["image"]).is_file():
            return
        try:
            picture = Picture(
                path=self._folder.out / record["image"],
                start=self._maker.start(line) if self._pictures == "pair" else None,
                latents=read_latents(self._folder.out / record["latents"], self._model),
                handles_yx=line.handles_yx,
                ended_yx=np.array(record["handles_xy"], np.float32)[:, ::-1],
                targets_yx=line.targets_yx,
                settings=self._maker.settings(line),
            )
        except (DragspaceError, OSError) as error:
            _log.warning("%s cannot be made any more: %s", record["image"], _reason(error))
        else:
            self._writer.add(picture)

    def _take(self, result: DragResult | Ended) -> None:
        """Keep a result, once there are enough to be measured together; an edit that never ran at once.

        A worker's result is measured already, and its images are rendered.
        """
        if isinstance(result, Ended):
            self._keep(result.result, result.quality, result.images)
            return
        if result.edit is None:
            self._keep(result, None)
            return
        self._waiting.append(result)
        if len(self._waiting) >= edits_together(self._model):
            self._keep_waiting()

    def _keep_waiting(self) -> None:
        for quality in measure(self._waiting[:]):
            self._keep(self._waiting.pop(0), quality)

    def _keep(self, result: DragResult, measured: Quality | None, images: np.ndarray | None = None) -> None:
        self._write(result, measured, images)
        self._settle()

    def _write(self, result: DragResult, measured: Quality | None, images: np.ndarray | None) -> None:
        entry, request = self._running.pop(result.id)
        pair = self._pictures == "pair"
        if measured is not None and pair and images is None:
            images = render_pair(result)
        quality = quality_record(measured, images if pair else None)
        record = self._folder.write(result, entry, quality, image=self._pictures != "none")
        if result.outcome == Outcome.INVALID:
            return
        if self._mirror is not None:
            self._mirror.add(record)
        self._dragged += 1
        self._steps += result.steps
        assert result.handles_yx is not None  # only invalid edits have none
        self._writer.add(
            Picture(
                path=self._folder.images / f"{entry.stem}.png",
                start=result.start,
                latents=result.latents,
                handles_yx=np.asarray(request.handles_yx),
                ended_yx=result.handles_yx,
                targets_yx=np.asarray(request.targets_yx),
                settings=request.settings or DragSettings(),
                images=images,
            )
        )


def _reason(error: DragspaceError | OSError) -> str:
    """What is wrong with a line or its files, by the line's keys; an error that names no file is the system's."""
    if isinstance(error, DragspaceError):
        return renamed(error, _KEYS)
    if error.filename is None:
        raise error
    return f"{error.filename}: {error.strerror}"
