"""Seeds and points as they are typed."""

from __future__ import annotations

import re

import numpy as np

from dragspace_jax.cli.errors import UserError

_LARGEST_SEED = 2**32 - 1  # what RandomState takes
_MOST_SEEDS = 100_000


def parse_seeds(text: str) -> list[int]:
    """ "0-3,7" → [0, 1, 2, 3, 7], in the order given, each once. Raises UserError."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise UserError(f"seeds {text!r}: {part.strip()!r} is neither a number nor a range such as 0-15")
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last < first:
            raise UserError(f"seeds {text!r}: the range {part.strip()} runs backwards")
        if last > _LARGEST_SEED:
            raise UserError(f"seeds {text!r}: {last} is too large; seeds go from 0 to {_LARGEST_SEED}")
        if len(seeds) + last - first >= _MOST_SEEDS:
            raise UserError(f"seeds {text!r}: more than {_MOST_SEEDS} images in one run; split it")
        seeds.update(dict.fromkeys(range(first, last + 1)))
    return list(seeds)


def parse_points(option: str, text: str) -> np.ndarray:
    """ "x,y;x,y" → [N, 2] as (y, x) float32. Raises UserError."""
    try:
        points = [[float(number) for number in part.split(",")] for part in text.strip().strip(";").split(";")]
        array = np.array(points, np.float32)
        if array.ndim != 2 or array.shape[1] != 2:
            raise ValueError
    except ValueError as error:
        raise UserError(f'{option} {text!r} is not like "x,y;x,y", in pixels') from error
    return array[:, ::-1]
