"""A batch on its way between the file of edits, the lanes and the folder of results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dragspace_jax.cli.batch_folder import BatchFolder, Entry, Names
from dragspace_jax.cli.batch_pictures import Picture, Pictures, PictureWriter
from dragspace_jax.cli.batch_progress import BatchProgress
from dragspace_jax.cli.edit_lines import EditLine, LineError, parse_line, read_lines
from dragspace_jax.cli.edit_requests import RequestMaker
from dragspace_jax.cli.errors import UserError
from dragspace_jax.cli.inputs import load_one_latent
from dragspace_jax.drag import BatchStats, DragSettings, EditRequest, LaneResult, Outcome, drag_many
from dragspace_jax.errors import DragspaceError
from dragspace_jax.stylegan2 import Generator


class BatchRun:
    """Reads lines as the lanes need edits, and keeps results as they come.

    Args:
      edits: the file.
      model: the generator.
      maker: turns lines into requests.
      folder: takes the results.
      pictures: which to make.

    Attributes:
      settled: lines that need nothing more.
      dragged: edits that came to their end in this run.
      interrupted: whether the user ended it.
    """

    def __init__(
        self, edits: Path, model: Generator, maker: RequestMaker, folder: BatchFolder, pictures: Pictures
    ) -> None:
        self._edits, self._model, self._maker, self._folder = edits, model, maker, folder
        self._names = Names(folder.stems())
        self._pictures, self._writer = pictures, PictureWriter(model, pictures)
        self._running: dict[str, tuple[Entry, EditRequest]] = {}
        self.settled = self.dragged = 0
        self.interrupted = False

    def drag(self, lanes: int | Literal["auto"], progress: BatchProgress) -> BatchStats:
        """Everything that the folder does not have yet; Ctrl-C ends it with what is finished in the folder."""
        batch = drag_many(self._model, self._requests(), lanes=lanes)
        with self._writer:
            try:
                for result in batch:
                    self._keep(result)
                    progress.update(self.settled, batch.stats)
            except KeyboardInterrupt:
                self.interrupted = True
        return batch.stats

    def _requests(self) -> Iterator[EditRequest]:
        """The edits of the file that are still to run; a line that is none is recorded at once."""
        for number, raw in read_lines(self._edits):
            try:
                line = parse_line(raw, self._model.config.resolution)
                name = self._names.claim(line.id, number)
            except LineError as error:
                self._refuse(self._names.claim_anyhow(error.id, number), number, str(error))
                continue
            record = self._folder.finished.get(name)
            if record is not None:
                self._complete(record, line, name)
                continue
            try:
                request = self._maker.request(line, name)
            except (DragspaceError, UserError) as error:
                self._refuse(name, number, error.message if isinstance(error, UserError) else str(error))
            except OSError as error:
                if error.filename is None:
                    raise  # no file that the line names is at fault
                self._refuse(name, number, f"{error.filename}: {error.strerror}")
            else:
                self._running[name] = (Entry(line=number, stem=self._names.stem(name)), request)
                yield request

    def _complete(self, record: dict[str, Any], line: EditLine, name: str) -> None:
        """Make the picture of an edit that an earlier run finished, if that run ended before its picture was there."""
        self.settled += 1
        if "image" in record and not (self._folder.out / record["image"]).is_file():
            ended = np.array(record["handles_xy"], np.float32)[:, ::-1]
            ws = load_one_latent(self._folder.out / record["latents"], self._model.config)
            self._add_picture(Path(record["image"]).name, self._maker.request(line, name), ws, ended)

    def _refuse(self, name: str, number: int, reason: str) -> None:
        self._folder.write_invalid(name, number, reason)
        self.settled += 1

    def _keep(self, result: LaneResult) -> None:
        entry, request = self._running.pop(result.id)
        self._folder.write(result, entry, image=self._pictures != "none")
        self.settled += 1
        if result.outcome != Outcome.INVALID:
            self.dragged += 1
            assert result.ws is not None  # only invalid edits have none
            assert result.handles_yx is not None
            self._add_picture(f"{entry.stem}.png", request, result.ws, result.handles_yx)

    def _add_picture(self, file: str, request: EditRequest, ws: np.ndarray, ended_yx: np.ndarray) -> None:
        self._writer.add(
            Picture(
                path=self._folder.images / file,
                start=np.asarray(request.ws),
                ws=ws,
                handles_yx=np.asarray(request.handles_yx),
                ended_yx=ended_yx,
                targets_yx=np.asarray(request.targets_yx),
                settings=request.settings or DragSettings(),
            )
        )
