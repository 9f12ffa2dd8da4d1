"""A batch from its options to its end: what is asked for is checked, the folder is locked, and the work begins."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from dragspace_jax.batch.folder import BatchFolder
from dragspace_jax.batch.lines import check_choices
from dragspace_jax.batch.mirror import Mirror, refuse_object_store
from dragspace_jax.batch.names import BatchLines
from dragspace_jax.batch.pictures import Pictures
from dragspace_jax.batch.ray_cluster import Cluster, cluster_of
from dragspace_jax.batch.requests import RequestMaker
from dragspace_jax.batch.resume import Digests, Earlier
from dragspace_jax.batch.sheet import Order, write_sheet
from dragspace_jax.batch.summary import BatchState, BatchSummary
from dragspace_jax.batch.work import BatchWork
from dragspace_jax.checkpoint import load, read_card
from dragspace_jax.critters.channel_tables import channel_table
from dragspace_jax.critters.evaluator import species_of
from dragspace_jax.drag import BatchError
from dragspace_jax.drag.recipes import DEFAULT_RECIPE, space_of
from dragspace_jax.folders import locked
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.placement import devices, placed, present_device, running_on
from dragspace_jax.results import versions
from dragspace_jax.spaces.chosen_channels import chosen_channels
from dragspace_jax.spaces.options import space_name
from dragspace_jax.stylegan2 import Generator

_log = logging.getLogger(__name__)


def run(
    edits: str | Path,
    model: str | Path | Generator,
    out: str | Path,
    *,
    lanes: int | Literal["auto"] = "auto",
    pictures: Pictures = "after",
    sort: Order = "file",
    resume: bool = False,
    overwrite: bool = False,
    psi: float = 0.7,
    label: int | None = None,
    device: Any = None,
    on: str | None = None,
    workers: int | None = None,
    mirror: str | Path | None = None,
    on_progress: Callable[[BatchState], None] | None = None,
    **chosen: Any,
) -> BatchSummary:
    """Drag all edits of a file, one JSON object a line, many at once.

    Writes results.jsonl, a line an edit as it finishes, latents/ID.npz (`ws` after the edit and `start` before it,
    [L, D]), images/ID.png, sheet.png and summary.json. A line that is no edit becomes a result with the outcome
    `invalid` and its reason; the others run.

    Args:
      edits: the file; what its lines may hold, docs/settings.md says. Files they name are relative to it.
      model: a generator, a model folder, or the name of an embedded model, which lines with `segment` need.
      out: folder for the results.
      lanes: edits at once; `auto`: what memory holds.
      pictures: `after`: an image of each edit; `pair`: before and after, with the points; `none`.
      sort: how the sheet is ordered: by `file`, as the lines are, or by `quality`, the worst first.
      resume: go on with what an interrupted run left in the folder, with the same lines, model and options.
      overwrite: remove what an earlier run left in the folder.
      psi: truncation of the seeds' latents, where lines do not say; 1 is none.
      label: class of the seeds' images, likewise, for a model with classes.
      device: where to run, `cpu`, `gpu`, `gpu:0,1`, …; None: all devices that JAX prefers. On Ray a platform alone.
      on: `ray`: over the workers of a Ray cluster that is started on this machine; `ray:ADDRESS`: of one that is there.
      workers: how many; None: one for each GPU, for each machine with TPUs, else for each machine.
      mirror: a folder or a place in an object store (`gs://…`, `s3://…`) to which what has finished is copied as well.
        With `resume`, what is there and not in `out` comes back from it.
      on_progress: called for every line that needs nothing more.
      chosen: how to drag where lines do not say, by the keys of lines: `recipe`, `space`, …, `lr`, `steps`, ….

    Returns:
      What it came to, as summary.json has it.

    Raises:
      BatchInterrupted: Ctrl-C; with the summary till then.
      BatchError: no edits in the file, `resume` and `overwrite` at once, lanes that do not fit in memory, no
        cluster, or no Ray.
      DeviceError: no such device.
      FolderError: results are there and neither is given, they are of another batch, or another run writes there.
      DragspaceError: a value of `chosen`, the label or psi does not fit the model, or the model cannot be read.
      OSError: a file cannot be written; the error names it. What had finished stays good for `resume`.
    """
    cluster = cluster_of(on, workers, device)
    refuse_object_store(out)
    place = None if device is None or cluster is not None else devices(device).devices[0]
    with running_on(place):
        return _run(
            Path(edits),
            model,
            Path(out),
            lanes=lanes,
            pictures=pictures,
            sort=sort,
            resume=resume,
            overwrite=overwrite,
            psi=psi,
            label=label,
            device=device,
            on=on,
            cluster=cluster,
            mirror=None if mirror is None else str(mirror),
            on_progress=on_progress,
            chosen=chosen,
        )


def _run(
    edits: Path,
    model: str | Path | Generator,
    out: Path,
    *,
    lanes: int | Literal["auto"],
    pictures: Pictures,
    sort: Order,
    resume: bool,
    overwrite: bool,
    psi: float,
    label: int | None,
    device: Any,
    on: str | None,
    cluster: Cluster | None,
    mirror: str | None,
    on_progress: Callable[[BatchState], None] | None,
    chosen: Mapping[str, Any],
) -> BatchSummary:
    """`run`, where everything that does not say where it runs already runs on the device asked for."""
    if resume and overwrite:
        raise BatchError("give either `resume` or `overwrite`", field="resume overwrite")
    if sort != "file" and pictures == "none":
        raise BatchError(
            "`sort` orders the sheet of pictures, and without `pictures` there is none", field="sort pictures"
        )
    if not edits.is_file():
        raise BatchError(f"{edits} is read twice, so it must be a file")
    Earlier(out, resume=resume, overwrite=overwrite)  # raises before the model is read
    named = check_choices(
        {"recipe": DEFAULT_RECIPE, **{key: value for key, value in chosen.items() if value is not None}}
    )
    lines = BatchLines(edits)
    if not lines.total:
        raise BatchError(f"{edits} holds no edits: give a JSON object a line")
    if isinstance(model, Generator):
        asked = None if cluster is not None or device is None else present_device()
        generator, species = placed(model, asked), None  # it has no card that says what it draws
    else:
        generator, species = load(model), species_of(read_card(model))
    copies = None if mirror is None else Mirror(mirror, out, fingerprint(generator))
    if copies is not None:
        copies.check(resume=resume, overwrite=overwrite)
    space_name(space_of(named))  # raises if the basis cannot be read
    files = {"basis": _digest_of(named["basis"]), "channels": _chosen(generator, named["channels"])}
    digests = Digests(generator, {"psi": psi, "label": label, **named, **files})
    if resume:
        _check_same(Earlier(out, resume=True, overwrite=False), lines, digests)
    maker = RequestMaker(generator, edits.parent, named, psi=psi, label=label, species=species)
    for name, numbers in lines.repeated.items():
        _log.warning("the id %s stands on lines %s; only the first is an edit", json.dumps(name), _listed(numbers))
    with locked(out):
        if copies is not None and resume:
            copies.restore({name: digests.of(raw) for name, raw in lines.named()})
        elif copies is not None:
            copies.clear()
        earlier = Earlier(out, resume=resume, overwrite=overwrite)
        if resume:
            _check_same(earlier, lines, digests)
        resolved = {
            "model": None if isinstance(model, Generator) else str(model),
            "fingerprint": fingerprint(generator),
            "file": str(edits),
            "lanes": lanes,
            **{key: value for key, value in {"on": on, "mirror": mirror}.items() if value},
            "pictures": pictures,
            "psi": psi,
            "label": label,
            **maker.resolved(),
            "versions": versions(),
        }
        with closing(BatchFolder(earlier, fingerprint(generator), overwrite=overwrite)) as folder:
            work = BatchWork(
                lines, digests, generator, maker, folder, pictures, resolved, earlier.job, on_progress, copies
            )
            try:
                return work.run(lanes, device=device, cluster=cluster)
            finally:
                if pictures != "none":
                    write_sheet(out, sort)


def _check_same(earlier: Earlier, lines: BatchLines, digests: Digests) -> None:
    earlier.check_same((name, digests.of(raw)) for name, raw in lines.named())


def _digest_of(basis: str | None) -> str | None:
    """A hash of the basis that all lines may move in, which is another one if it was fitted anew."""
    return None if basis is None else hashlib.sha256(Path(basis).read_bytes()).hexdigest()


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return shown if len(numbers) <= 5 else f"{shown}, …"


def _chosen(model: Generator, channels: str | None) -> list[tuple[str, int]] | None:
    """The channels that all lines may move, which are others if their table is another."""
    return None if channels is None else chosen_channels(channels, channel_table(fingerprint(model)))
