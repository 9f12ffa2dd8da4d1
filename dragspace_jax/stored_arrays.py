"""Arrays of an Orbax checkpoint, read by what Orbax itself reads them with.

Of Orbax only its index, `_METADATA`, is wanted here, and importing it takes longer than reading a model. An array is a
zarr array of its name, in an OCDBT database or in a folder of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint that is one flat dict {name: array}, all read at once.

    Raises:
      Exception: whatever the storage meets, where something is missing or damaged.
    """
    index = json.loads((folder / "_METADATA").read_text())
    opened = {name: ts.open(_spec(folder, name, index), read=True) for name in _names(index)}
    reading = {name: array.result().read() for name, array in opened.items()}
    return {name: np.asarray(array.result()) for name, array in reading.items()}


def _names(index: dict[str, Any]) -> list[str]:
    """Raises ValueError if something in the checkpoint lies deeper than a flat dict's arrays."""
    names = []
    for entry in index["tree_metadata"].values():
        (key,) = entry["key_metadata"]
        names.append(key["key"])
    return names


def _spec(folder: Path, name: str, index: dict[str, Any]) -> dict[str, Any]:
    """Where TensorStore finds an array, and how."""
    base = f"file://{folder.absolute()}/"
    files = {"driver": "ocdbt", "base": base, "path": f"{name}/"} if index["use_ocdbt"] else f"{base}{name}/"
    return {
        "driver": "zarr3" if index["use_zarr3"] else "zarr",
        "kvstore": files,
        # Where parts that hold nothing but zeros may have been left out, a part that is not there is no damage.
        "fill_missing_data_reads": not index.get("store_array_data_equal_to_fill_value", False),
    }
