"""How parity is measured, and where the golden arrays are (`tests/golden/README.md`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"


def golden_arrays(name: str) -> dict[str, np.ndarray]:
    """{name: array} of a file there; one that is missing is an error, never a test left out."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def relative_error(actual, expected) -> float:
    """Maximum absolute error over the expected array's maximum: a mean would hide a local fault."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{actual.shape} against {expected.shape}"
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def nhwc(x) -> np.ndarray:
    """A torch image or feature map [B, C, H, W] as [B, H, W, C]."""
    return np.moveaxis(np.asarray(x), 1, -1)
