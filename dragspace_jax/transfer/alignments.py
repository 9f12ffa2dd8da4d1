"""The maps that were fitted between two models, with their scores and a sheet."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dragspace_jax.analysis.align import METHODS, Alignment, Method


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Alignments:
    """What `align` gives; `alignments["affine"]` is a map.

    Attributes:
      maps: by method.
      scores: what scores.json holds: of the pairs, of every map and of the edits.
      sheet: uint8 [H, W, 3], images of both models before and after edits, or moves along the first component.
    """

    maps: dict[str, Alignment]
    scores: dict[str, Any]
    sheet: np.ndarray

    def __getitem__(self, method: Method) -> Alignment:
        return self.maps[method]

    def __repr__(self) -> str:
        return f"<Alignments from {self.scores['from']} to {self.scores['to']}: {', '.join(self.maps)}>"

    def save(self, folder: str | Path) -> None:
        """Write METHOD.npz of every map, sheet.png and scores.json, in place of an earlier alignment's.

        scores.json comes last, so where it stands the rest is whole and of the same run.

        Raises:
          OSError: nothing can be written there.
        """
        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        (out / "scores.json").unlink(missing_ok=True)
        for method in METHODS:
            (out / f"{method}.npz").unlink(missing_ok=True)
        for method, alignment in self.maps.items():
            alignment.save(out / f"{method}.npz")
        Image.fromarray(self.sheet).save(out / "sheet.png")
        (out / "scores.json").write_text(json.dumps(self.scores, indent=2, allow_nan=False) + "\n")
