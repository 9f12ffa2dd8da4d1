"""The file of a region's directions: what `dragspace lowrank` writes, and drags and edits read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64

from dragspace_jax.analysis.local import Coordinates
from dragspace_jax.analysis.lowrank import Outcome, Solver, Subspace
from dragspace_jax.arrays import read_arrays_as, write_arrays
from dragspace_jax.errors import DragspaceError


class DirectionsError(DragspaceError):
    """Directions that cannot be measured or read, or that are another model's."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RegionDirections:
    """Low-rank subspaces of regions of n images; one for all of them if it is shared.

    Attributes:
      subspaces: n, or one.
      ws: [m, L, D] of the images they were measured on; of a shared one m may be greater than 1.
      regions: [m, H, W], true inside.
      coordinates: `w`, or `z`.
      solver: `closed` or `rpca`.
      model: fingerprint.
    """

    subspaces: list[Subspace]
    ws: Float32[np.ndarray, "m L D"]
    regions: Bool[np.ndarray, "m H W"]
    coordinates: Coordinates
    solver: Solver
    model: str

    @property
    def directions(self) -> Float64[np.ndarray, "n K D"]:
        """All directions, zero where an image has fewer than the others."""
        return _padded([each.directions for each in self.subspaces])

    def save(self, path: str | Path) -> None:
        """Write an npz, as docs/formats.md has it; an interrupted write leaves nothing at `path`."""
        found = self.subspaces
        write_arrays(
            path,
            {
                "directions": self.directions,
                "count": np.array([len(each.directions) for each in found]),
                "outcome": np.array([each.outcome.value for each in found]),
                "rank_region": np.array([each.rank_region for each in found]),
                "rank_rest": np.array([each.rank_rest for each in found]),
                "singular_values": np.stack([each.singular_values for each in found]),
                "principal": _padded([each.principal for each in found]),
                "null_region": _padded([each.null_region for each in found]),
                "null_rest": _padded([each.null_rest for each in found]),
                "ws": self.ws,
                "regions": self.regions,
                "coordinates": np.asarray(self.coordinates),
                "solver": np.asarray(self.solver),
                "model": np.asarray(self.model),
            },
        )


def read_region_directions(path: str | Path) -> RegionDirections:
    """What `RegionDirections.save` wrote. Raises DirectionsError."""
    arrays = read_arrays_as(path, DirectionsError, what="directions of dragspace lowrank", command="dragspace lowrank")
    try:
        return _read(arrays)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DirectionsError(f"{path} holds no directions of dragspace lowrank: {error}") from error


def _read(arrays: dict[str, np.ndarray]) -> RegionDirections:
    found = []
    for index, count in enumerate(arrays["count"].tolist()):
        numbers = {name: arrays[name][index].astype(np.float64) for name in ("directions", "principal", "null_region")}
        numbers["null_rest"] = arrays["null_rest"][index].astype(np.float64)
        if not all(np.isfinite(number).all() for number in numbers.values()):
            raise ValueError("numbers that are not finite")
        found.append(
            Subspace(
                directions=numbers["directions"][:count],
                principal=_told(numbers["principal"]),
                null_region=_told(numbers["null_region"]),
                null_rest=_told(numbers["null_rest"]),
                singular_values=arrays["singular_values"][index],
                rank_region=int(arrays["rank_region"][index]),
                rank_rest=int(arrays["rank_rest"][index]),
                outcome=Outcome(str(arrays["outcome"][index])),
            )
        )
    coordinates, solver = str(arrays["coordinates"]), str(arrays["solver"])
    if coordinates not in ("w", "z") or solver not in ("closed", "rpca") or not found:
        raise ValueError(f"coordinates {coordinates}, solver {solver}, {len(found)} images")
    return RegionDirections(
        subspaces=found,
        ws=arrays["ws"].astype(np.float32),
        regions=arrays["regions"].astype(bool),
        coordinates=coordinates,
        solver=solver,
        model=str(arrays["model"]),
    )


def _padded(rows: Sequence[Float64[np.ndarray, "_ D"]]) -> Float64[np.ndarray, "n K D"]:
    """Stacked, the shorter ones with zeros below."""
    most = max(len(each) for each in rows)
    return np.stack([np.pad(each, ((0, most - len(each)), (0, 0))) for each in rows])


def _told(rows: Float64[np.ndarray, "K D"]) -> Float64[np.ndarray, "K D"]:
    """Without the zeros below."""
    return rows[np.any(rows != 0, axis=1)]
