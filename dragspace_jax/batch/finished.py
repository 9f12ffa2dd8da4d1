"""Drags that reached their targets, read back from the folders that batches and single drags leave."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.batch.resume import Earlier
from dragspace_jax.drag import Outcome
from dragspace_jax.folders import FolderError
from dragspace_jax.inputs import InputError, load_one_latent, read_array
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.stylegan2 import Generator

REACHED = Outcome.REACHED.label


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinishedDrags:
    """Where drags began and where they ended.

    Attributes:
      starts, ends: [m, L, D] float32, of those that reached their targets.
      counts: outcomes of all drags in the folders.
    """

    starts: np.ndarray
    ends: np.ndarray
    counts: Counter[str]

    @property
    def moved_layers(self) -> int:
        """Number of layers, from the first to the last one that any of the drags moved; at least 1."""
        moved = np.flatnonzero((self.starts != self.ends).any(axis=(0, 2)))
        return int(moved[-1]) + 1 if len(moved) else 1

    def told(self) -> str:
        """The counts in words."""
        counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.counts.items()))
        return f"{len(self.ends)} of {self.counts.total()} drags reached their targets ({counted or 'none'})"


def read_finished_drags(folders: Sequence[Path], model: Generator) -> FinishedDrags:
    """The drags of all folders.

    Raises:
      FolderError: a folder that is not as they are written.
      InputError: a file of latents that is not, or that is of another model.
    """
    starts, ends, counts = [], [], Counter[str]()
    for folder in folders:
        for outcome, latents in list_drags(folder):
            counts[outcome] += 1
            if outcome == REACHED:
                start, end = _start_and_end(folder / latents, model)
                starts.append(start)
                ends.append(end)
    shape = (0, model.config.num_ws, model.config.w_dim)
    return FinishedDrags(
        starts=np.stack(starts) if starts else np.zeros(shape, np.float32),
        ends=np.stack(ends) if ends else np.zeros(shape, np.float32),
        counts=counts,
    )


def list_drags(folder: Path) -> Iterator[tuple[str, str]]:
    """Outcome and file of latents ("" if there is none), of a batch's drags or of one drag.

    Raises:
      FolderError: the folder is not as they are written.
    """
    if (folder / "results.jsonl").is_file():
        for record in Earlier(folder, resume=True, overwrite=False).records:
            yield record["outcome"], record.get("latents", "")
    elif (folder / "result.json").is_file():
        yield _outcome(folder / "result.json"), "latents.npz"
    else:
        raise FolderError(f"{folder}: no results.jsonl of dragspace batch, no result.json of dragspace drag")


def _outcome(path: Path) -> str:
    try:
        record: Any = json.loads(path.read_bytes())
        if not isinstance(record, dict) or not isinstance(record.get("outcome"), str):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise FolderError(f"{path}: not the result of a drag") from error
    return record["outcome"]


def _start_and_end(path: Path, model: Generator) -> tuple[np.ndarray, np.ndarray]:
    """[L, D] each. Raises InputError."""
    if not path.is_file():
        raise InputError(f"latents {path}: no such file, though its drag reached its targets")
    stored = _text(path)
    if stored != fingerprint(model):
        raise InputError(
            f"latents {path}: the drag was of another model, {stored} by its fingerprint; "
            f"this one is {fingerprint(model)}"
        )
    return load_one_latent(path, model.config, key="start"), load_one_latent(path, model.config)


def _text(path: Path) -> str:
    """The fingerprint in a file of latents."""
    try:
        value = read_array(path, "model")
    except InputError as error:
        raise InputError(f"{error}; a drag of this version says where it began: drag again") from error
    if value.dtype.kind != "U" or value.shape != ():
        raise InputError(f"latents {path}: `model` is not a text")
    return str(value)
