"""What was carried to another model, and the folder that it is written to."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.analysis.align import Alignment
from dragspace_jax.folders import FolderError, locked, make_folder, refuse_results
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.results import save_image, versions, write_json, write_latents
from dragspace_jax.stylegan2 import Latents
from dragspace_jax.stylegan2.rendering import render_batches
from dragspace_jax.transfer.intake import Finished
from dragspace_jax.transfer.models import Model
from dragspace_jax.transfer.sheet import ROWS, plain_images, titled_sheet
from dragspace_jax.viz.sheets import to_uint8

_RECORD, _SHEET = "transfer.json", "sheet.png"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Carried:
    """What `carry` gives.

    Attributes:
      alignment, alignment_path: the map, and its file if it came from one.
      finished: n images of the source.
      source: the model that they are of, None if it is not at hand; it is needed for pictures only.
      target: the model that they were carried to.
      start, ws: [n, L2, D2] float32, latents of the target before and after the edits.
    """

    alignment: Alignment
    alignment_path: Path | None
    finished: list[Finished]
    source: Model | None
    target: Model
    start: np.ndarray
    ws: np.ndarray

    def __repr__(self) -> str:
        return f"<Carried: {len(self.finished)} images to {self.target.name} by {self.alignment.method}>"

    def sheet(self) -> np.ndarray:
        """The first `ROWS` images before and after, of the source where it is at hand and of the target; uint8."""
        first = self.finished[:ROWS]
        shown: list[tuple[Model, str, np.ndarray, np.ndarray]] = []
        if self.source is not None:
            before, after = (np.stack([getattr(each, name) for each in first]) for name in ("start", "ws"))
            shown.append((self.source, "source", before, after))
        shown.append((self.target, "target", self.start[:ROWS], self.ws[:ROWS]))
        columns, titles = [], []
        for model, title, before, after in shown:
            columns.append(plain_images(model.network, before))
            titles.append(title)
            if any(each.edited for each in first):
                columns.append(plain_images(model.network, after))
                titles.append("edited" if title == "source" else "same edit")
        names = [each.id if len(each.id) <= 18 else f"{each.id[:17]}…" for each in first]
        labels = [names, *([""] * len(first) for _ in columns[1:])]
        return titled_sheet(columns, titles, labels)

    def save(
        self, out: str | Path, *, overwrite: bool = False, on_progress: Callable[[int], None] | None = None
    ) -> None:
        """Write latents/ID.npz (`ws`, `start`), images/ID.png, sheet.png and last transfer.json.

        Args:
          out: the folder.
          overwrite: whether an earlier transfer may be there; what its transfer.json names is removed.
          on_progress: called with the number of images written.

        Raises:
          FolderError: a transfer is there and may not be replaced, it is a batch's folder, another run writes there,
            or nothing can be written.
          OSError: a file cannot be written; the error names it.
        """
        out = Path(out)
        refuse_transfer(out, overwrite=overwrite)  # before a lock is made beside them
        with locked(out):
            refuse_transfer(out, overwrite=overwrite)
            _remove_earlier(out)
            model = fingerprint(self.target.network)
            for folder in ("latents", "images"):
                make_folder(out / folder)
            for each, ws, start in zip(self.finished, self.ws, self.start, strict=True):
                write_latents(out / "latents" / f"{each.id}.npz", Latents(ws=ws), Latents(ws=start), model)
            for done, (each, image) in enumerate(zip(self.finished, self._images(), strict=True), 1):
                save_image(image, out / "images" / f"{each.id}.png")
                if on_progress is not None:
                    on_progress(done)
            save_image(self.sheet(), out / _SHEET)
            write_json(out / _RECORD, self.record())

    def record(self) -> dict[str, Any]:
        """What transfer.json holds."""
        known = self.alignment
        return {
            "from": None if self.source is None else self.source.name,
            "to": self.target.name,
            "map": {
                "file": None if self.alignment_path is None else str(self.alignment_path),
                "kind": known.method,
                "source": known.source.model,
                "target": known.target.model,
            },
            "fingerprint": fingerprint(self.target.network),
            "results": [
                {
                    "id": each.id,
                    "of": str(each.path),
                    "edited": each.edited,
                    "latents": f"latents/{each.id}.npz",
                    "image": f"images/{each.id}.png",
                }
                for each in self.finished
            ],
            "versions": versions(),
        }

    def _images(self) -> Iterator[np.ndarray]:
        """Images of the target after the edits, uint8 [H, W, 3]."""
        for batch in render_batches(self.target.network, self.ws):
            yield from to_uint8(batch)


def refuse_transfer(out: Path, *, overwrite: bool) -> None:
    """Raises FolderError if there are a transfer's files that the caller has not said to overwrite, or a batch's."""
    batch = out / "results.jsonl"
    if batch.exists():
        raise FolderError(f"{batch} is there: the folder is a batch's; give another `out`", field="out")
    # Without a record they are those of a transfer that was interrupted.
    refuse_results((out / name for name in (_RECORD, _SHEET, "latents", "images")), overwrite=overwrite)


def _remove_earlier(out: Path) -> None:
    """Remove what an earlier transfer's record names, and the record first, lest it stands beside other files."""
    try:
        stems = [record["id"] for record in json.loads((out / _RECORD).read_bytes())["results"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        stems = []
    (out / _RECORD).unlink(missing_ok=True)
    for stem in stems:
        if isinstance(stem, str) and re.fullmatch(r"[A-Za-z0-9._-]+", stem):
            (out / "latents" / f"{stem}.npz").unlink(missing_ok=True)
            (out / "images" / f"{stem}.png").unlink(missing_ok=True)
