"""Carry latents and finished drags from one model to another, by a map that `align` fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dragspace_jax.analysis.align import Alignment
from dragspace_jax.building import ModelError
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.transfer.carried import Carried
from dragspace_jax.transfer.errors import TransferError
from dragspace_jax.transfer.intake import Finished, read_finished
from dragspace_jax.transfer.models import Model


def carry(
    results: Sequence[str | Path],
    alignment: str | Path | Alignment,
    target: str | Path | Generator,
    *,
    source: str | Path | Generator | None = None,
) -> Carried:
    """Latents of the target model for every image of `results`, before and after its edit.

    The image before is mapped, and the edit's displacement, mapped by the linear part alone, is added to it. Layers
    keep their places from the coarsest on: a target with more of them takes the source's last latent for those, which
    the edit does not move, and one with fewer drops the source's finest.

    Args:
      results: folders of `dragspace drag` and `dragspace batch`, and files of latents: .npy, or .npz with `ws` and
        perhaps `start`.
      alignment: the map, or its file.
      target: the model that they are carried to: a folder, an embedded name or a generator.
      source: the model that they are of, for pictures; None: the one that the results name, if it can be opened.

    Raises:
      TransferError: results, map and models that do not belong together, or cannot be carried.
      AlignmentError, FolderError, InputError, ModelError: a map, a folder, a file or a model that is none.
    """
    known = alignment if isinstance(alignment, Alignment) else Alignment.load(alignment)
    finished = read_finished(results, known)
    there = Model.open(target)
    _check_model("target", there.network, known.target.model, len(known.target.mean))
    here = _named_source(finished, known) if source is None else Model.open(source)
    if here is not None:
        _check_source(here, finished, known)
    start, ws = carry_latents(known, finished, there.network.config.num_ws)
    return Carried(
        alignment=known,
        alignment_path=None if isinstance(alignment, Alignment) else Path(alignment),
        finished=finished,
        source=here,
        target=there,
        start=start,
        ws=ws,
    )


def carry_latents(alignment: Alignment, finished: Sequence[Finished], layers: int) -> tuple[np.ndarray, np.ndarray]:
    """Before and after the edits, [n, L2, D2] float32 each, for a target of L2 = `layers`.

    Raises:
      TransferError: an edit moved layers that the target has not.
    """
    before = np.stack([each.start for each in finished])
    moved = np.stack([each.ws for each in finished]) - before
    common = min(layers, before.shape[1])
    for each, way in zip(finished, moved, strict=True):
        if way[common:].any():
            raise TransferError(f"{each.path}: the edit moved more layers than the target's {layers}", field="results")
    places = np.minimum(np.arange(layers), before.shape[1] - 1)
    start = alignment.apply(before)[:, places].astype(np.float32)
    ws = start.copy()
    ws[:, :common] += alignment.displacement(moved[:, :common]).astype(np.float32)
    return start, ws


def _check_model(name: str, model: Generator, known: str, width: int) -> None:
    """Raises TransferError if the model is not that of the map's side."""
    found = fingerprint(model)
    if known not in ("", found):
        raise TransferError(
            f"{name} is another model than the map's {name}, {found} by its fingerprint; the map's is {known}",
            field=name,
        )
    if model.config.w_dim != width:
        raise TransferError(f"{name} has a W of width {model.config.w_dim}; the map's is {width}", field=name)


def _check_source(model: Model, finished: Sequence[Finished], alignment: Alignment) -> None:
    """Raises TransferError if the results are not the model's."""
    _check_model("source", model.network, alignment.source.model, len(alignment.source.mean))
    own = fingerprint(model.network)
    for each in finished:
        if each.model not in ("", own):
            raise TransferError(f"source is another model than that of {each.path}, {each.model}", field="source")
    layers, stored = model.network.config.num_ws, len(finished[0].ws)
    if layers != stored:
        raise TransferError(f"source has {layers} layers of W+; the results have {stored}", field="source")


def _named_source(finished: Sequence[Finished], alignment: Alignment) -> Model | None:
    """The first of the models that the results name which is there and is theirs: a folder may have moved since."""
    for name in dict.fromkeys(each.model_name for each in finished if each.model_name):
        try:
            model = Model.open(name)
            _check_source(model, finished, alignment)
        except (ModelError, TransferError):
            continue
        return model
    return None
