"""A tally of channels as a file: what a measurement goes on from, and what `dragspace channels` keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dragspace_jax.analysis.channels import LocalityError, Tally
from dragspace_jax.arrays import read_arrays_as, write_arrays


def save_tally(path: str | Path, tally: Tally, *, names: tuple[str, ...], model: str, psi: float) -> None:
    """Write an npz, as docs/formats.md has it; an interrupted write leaves what was there."""
    write_arrays(
        path,
        {
            "images": np.asarray(tally.images),
            "shown": tally.shown,
            "wins": tally.wins,
            "inside": tally.inside,
            "outside": tally.outside,
            "regions": np.array(names),
            "model": np.asarray(model),
            "psi": np.asarray(psi),
        },
    )


def read_tally(path: str | Path, *, names: tuple[str, ...], model: str, psi: float) -> Tally:
    """What `save_tally` wrote. Raises LocalityError: no such file, or one of other images or regions."""

    def failure(message: str) -> LocalityError:
        return LocalityError(message, field="out")

    arrays = read_arrays_as(path, failure, what="a tally of channels", command="dragspace channels")
    try:
        about = {
            "model": str(arrays["model"]),
            "psi": float(arrays["psi"]),
            "regions": tuple(arrays["regions"].tolist()),
        }
        tally = Tally(
            images=int(arrays["images"]),
            shown=arrays["shown"].astype(np.int64),
            wins=arrays["wins"].astype(np.int64),
            inside=arrays["inside"].astype(np.float64),
            outside=arrays["outside"].astype(np.float64),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise failure(f"{path} is not a tally of channels: {error}") from error
    wanted = {"model": model, "psi": psi, "regions": names}
    for name, value in wanted.items():
        if about[name] != value:
            raise failure(f"{path} is of {name} {about[name]}, and {value} is measured now: take another folder")
    shapes = {each.shape for each in (tally.wins, tally.inside, tally.outside)}
    if shapes != {(len(tally.wins), len(names))} or tally.shown.shape != (len(names),):
        raise failure(f"{path} is not a tally of channels: its arrays do not fit each other")
    return tally
