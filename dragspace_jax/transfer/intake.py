"""What is to be carried to another model: latents and finished drags, read from where they were left, and checked."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.analysis.align import Alignment
from dragspace_jax.batch.finished import list_drags
from dragspace_jax.inputs import array_names, load_ws, read_array
from dragspace_jax.transfer.errors import TransferError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """One image's latents in the source, and what they were before an edit.

    Attributes:
      id: names the files that are made of it.
      path: the file that it was read from.
      ws, start: [L1, D1] float32, after the edit and before it; the same where there was none.
      edited: whether the file has both.
      model: fingerprint of its model, or "" if the file does not say.
      model_name: the folder or embedded name that the results give for it, or "".
    """

    id: str
    path: Path
    ws: np.ndarray
    start: np.ndarray
    edited: bool
    model: str
    model_name: str


def read_finished(results: Sequence[str | Path], alignment: Alignment) -> list[Finished]:
    """All latents of folders of drags, folders of batches and files, in their order.

    Of a batch it is every edit that has latents, whatever its outcome.

    Raises:
      TransferError: there is nothing, or something that the map cannot carry: of another model, or with offsets of
        styles.
      FolderError: a folder that no drag and no batch has written.
      InputError: a file that does not hold latents of the map's source.
    """
    found: list[Finished] = []
    taken: set[str] = set()
    for given in map(Path, results):
        count = len(found)
        for path, name, model_name in _files(given):
            for each in _read(path, name, model_name, alignment):
                found.append(dataclasses.replace(each, id=_free(each.id, taken)))
        if len(found) == count:
            raise TransferError(f"{given}: none of its edits has latents", field="results")
    if not found:
        raise TransferError("results is empty; give at least one", field="results")
    if len({each.ws.shape for each in found}) > 1:
        raise TransferError("results have latents of different numbers of layers: not of one model", field="results")
    return found


def _files(given: Path) -> Iterator[tuple[Path, str, str]]:
    """Files of latents with the names of their images and of their model."""
    if not given.is_dir():
        yield given, given.stem, ""
        return
    is_batch = (given / "results.jsonl").is_file()
    model = _model_name(given / ("summary.json" if is_batch else "result.json"))
    for _, latents in list_drags(given):
        if latents:
            path = given / latents
            yield path, path.stem if is_batch else given.resolve().name, model


def _model_name(path: Path) -> str:
    """What a result calls its model; a batch that was interrupted early does not say."""
    try:
        record: Any = json.loads(path.read_bytes())
        name = record["model"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def _read(path: Path, name: str, model_name: str, alignment: Alignment) -> Iterator[Finished]:
    """The images of one file; several in [n, L1, D1] are numbered."""
    width = len(alignment.source.mean)
    ws = load_ws(path, layers=None, width=width)
    names = array_names(path)
    if any("styles/" in each for each in names):
        raise TransferError(f"{path}: the latents have offsets of styles, which no map carries", field="results")
    model = str(read_array(path, "model")) if "model" in names else ""
    if model and alignment.source.model not in ("", model):
        raise TransferError(
            f"{path}: latents of another model than the map's source, {model} by its fingerprint; "
            f"the map is from {alignment.source.model}",
            field="results",
        )
    edited = "start" in names
    start = load_ws(path, layers=ws.shape[1], width=width, key="start") if edited else ws
    if len(start) != len(ws):
        raise TransferError(f"{path}: {len(ws)} latents, but {len(start)} from before the edit", field="results")
    for number, (after, before) in enumerate(zip(ws, start, strict=True)):
        yield Finished(
            id=name if len(ws) == 1 else f"{name}-{number:04d}",
            path=path, ws=after, start=before, edited=edited, model=model, model_name=model_name,
        )  # fmt: skip


def _free(name: str, taken: set[str]) -> str:
    """A name for files that no other image has, on systems that do not tell A from a either."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80].strip(".") or "edit"
    free, number = safe, 2
    while free.casefold() in taken:
        free, number = f"{safe}-{number}", number + 1
    taken.add(free.casefold())
    return free
