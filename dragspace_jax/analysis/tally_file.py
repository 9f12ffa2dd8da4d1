"""A tally of channels as a file: what a measurement goes on from, and what `dragspace channels` keeps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.analysis.channels import LocalityError, Tally
from dragspace_jax.arrays import read_arrays_as, write_arrays

_NO_LABEL = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What a tally was measured on.

    Attributes:
      regions: names.
      model: fingerprint.
      psi, label: of the samples; no label for a model without classes.
    """

    regions: tuple[str, ...]
    model: str
    psi: float
    label: int | None = None

    def arrays(self) -> dict[str, Any]:
        """As the file holds it."""
        label = _NO_LABEL if self.label is None else self.label
        return {"regions": np.array(self.regions), "model": self.model, "psi": self.psi, "label": label}


def save_tally(path: str | Path, tally: Tally, measured: Measured) -> None:
    """Write an npz, as docs/formats.md has it; an interrupted write leaves what was there."""
    sums = {field.name: np.asarray(getattr(tally, field.name)) for field in dataclasses.fields(tally)}
    write_arrays(path, sums | measured.arrays())


def read_tally(path: str | Path, measured: Measured) -> Tally:
    """What `save_tally` wrote. Raises LocalityError: no such file, or one that was measured on something else."""

    def failure(message: str) -> LocalityError:
        return LocalityError(message, field="out")

    arrays = read_arrays_as(path, failure, what="a tally of channels", command="dragspace channels")
    try:
        for name, wanted in measured.arrays().items():
            if arrays[name].tolist() != np.asarray(wanted).tolist():
                raise failure(f"{path} is of {name} {arrays[name]}, and {wanted} is measured now: take another folder")
        tally = Tally(
            images=int(arrays["images"]),
            shown=arrays["shown"].astype(np.int64),
            wins=arrays["wins"].astype(np.int64),
            inside=arrays["inside"].astype(np.float64),
            outside=arrays["outside"].astype(np.float64),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise failure(f"{path} is not a tally of channels: {error}") from error
    shapes = {each.shape for each in (tally.wins, tally.inside, tally.outside)}
    if shapes != {(len(tally.wins), len(measured.regions))} or tally.shown.shape != (len(measured.regions),):
        raise failure(f"{path} is not a tally of channels: its arrays do not fit each other")
    return tally
