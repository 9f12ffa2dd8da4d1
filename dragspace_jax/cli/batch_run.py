"""A batch on its way between the file of edits, the lanes and the folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from dragspace_jax.cli.batch_earlier import Digests
from dragspace_jax.cli.batch_folder import BatchFolder, Entry
from dragspace_jax.cli.batch_lines import BatchLines
from dragspace_jax.cli.batch_pictures import Picture, Pictures, PictureWriter
from dragspace_jax.cli.batch_progress import BatchProgress
from dragspace_jax.cli.edit_lines import EditLine, LineError, parse_line
from dragspace_jax.cli.edit_requests import RequestMaker
from dragspace_jax.cli.errors import UserError
from dragspace_jax.cli.inputs import load_one_latent
from dragspace_jax.drag import BatchStats, DragSettings, EditRequest, LaneResult, Outcome, drag_many
from dragspace_jax.errors import DragspaceError
from dragspace_jax.stylegan2 import Generator


class BatchRun:
    """Reads lines as the lanes need edits, and keeps results as they come.

    Args:
      lines: of the batch.
      digests: of what their results depend on.
      model: the generator.
      maker: turns lines into requests.
      folder: takes the results.
      pictures: which to make.
      progress: is told of every line that needs nothing more.

    Attributes:
      settled: lines that need nothing more.
      dragged: edits that came to their end in this run.
      interrupted: whether the user ended it.
    """

    def __init__(
        self,
        lines: BatchLines,
        digests: Digests,
        model: Generator,
        maker: RequestMaker,
        folder: BatchFolder,
        pictures: Pictures,
        progress: BatchProgress,
    ) -> None:
        self._lines, self._digests, self._model, self._maker, self._folder = lines, digests, model, maker, folder
        self._names = lines.names(folder.stems())
        self._pictures, self._writer, self._progress = pictures, PictureWriter(model, pictures), progress
        self._running: dict[str, tuple[Entry, EditRequest]] = {}
        self.settled = self.dragged = 0
        self.interrupted = False

    def drag(self, lanes: int | Literal["auto"]) -> BatchStats:
        """Everything that the folder does not have yet; Ctrl-C ends it with what is finished in the folder."""
        batch = drag_many(self._model, self._requests(lambda: batch.stats), lanes=lanes)
        with self._writer:
            try:
                for result in batch:
                    self._keep(result)
                    self._settle(batch.stats)
            except KeyboardInterrupt:
                self.interrupted = True
        return batch.stats

    def _settle(self, stats: BatchStats) -> None:
        self.settled += 1
        self._progress.update(self.settled, stats)

    def _requests(self, stats: Callable[[], BatchStats]) -> Iterator[EditRequest]:
        """The edits of the file that are still to run."""
        for number, raw in self._lines.read():
            request = self._request(number, raw)
            if request is None:
                self._settle(stats())
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
        except (DragspaceError, UserError, OSError) as error:
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
                ws=load_one_latent(self._folder.out / record["latents"], self._model.config),
                handles_yx=line.handles_yx,
                ended_yx=np.array(record["handles_xy"], np.float32)[:, ::-1],
                targets_yx=line.targets_yx,
                settings=self._maker.settings(line),
            )
        except (DragspaceError, UserError, OSError) as error:
            self._progress.warn(f"{record['image']} cannot be made any more: {_reason(error)}")
        else:
            self._writer.add(picture)

    def _keep(self, result: LaneResult) -> None:
        entry, request = self._running.pop(result.id)
        start = np.asarray(request.ws)
        self._folder.write(result, entry, start=start, image=self._pictures != "none")
        if result.outcome == Outcome.INVALID:
            return
        self.dragged += 1
        assert result.ws is not None  # only invalid edits have none
        assert result.handles_yx is not None
        self._writer.add(
            Picture(
                path=self._folder.images / f"{entry.stem}.png",
                start=start,
                ws=result.ws,
                handles_yx=np.asarray(request.handles_yx),
                ended_yx=result.handles_yx,
                targets_yx=np.asarray(request.targets_yx),
                settings=request.settings or DragSettings(),
            )
        )


def _reason(error: Exception) -> str:
    """What is wrong with a line or its files; an error of the system that names no file is not theirs."""
    if isinstance(error, UserError):
        return error.message
    if isinstance(error, OSError):
        if error.filename is None:
            raise error
        return f"{error.filename}: {error.strerror}"
    return str(error)
