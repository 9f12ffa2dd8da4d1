"""Directions, channels, layers, positions and regions of `dragspace edit` as they are typed."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Literal

import numpy as np

from dragspace_jax.batch.regions import RegionChoice
from dragspace_jax.cli.errors import UserError

_MOST_POSITIONS = 101
_FORMS = {"--direction": ("F:K", "out/basis.npz:0=2"), "--channel": ("LAYER:INDEX", "b16.conv1:501=5")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aim:
    """What `--direction` or `--channel` asks for.

    Attributes:
      option: which of the two.
      of: the file, or the layer.
      index: of the direction, or of the channel.
      value: how far; None: a row of a sheet.
    """

    option: Literal["--direction", "--channel"]
    of: str
    index: int
    value: float | None


def parse_aim(option: Literal["--direction", "--channel"], text: str) -> Aim:
    """ "F:K=VALUE", or "F:K". Raises UserError."""
    match = re.fullmatch(r"(.+):(\d{1,9})(?:=([^=]*))?", text)
    form, example = _FORMS[option]
    if match is None:
        raise UserError(f"{option} {text!r} is not like {form} or {form}=VALUE, such as {example}")
    value = None if match[3] is None else _number(match[3])
    if match[3] is not None and value is None:
        raise UserError(f"{option} {text!r}: {match[3]!r} is not a finite number; {example} is an example")
    return Aim(option=option, of=match[1], index=int(match[2]), value=value)


def parse_layers(text: str | None) -> tuple[int, int] | None:
    """ "4-7" → (4, 7), "5" → (5, 5). Raises UserError."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,3})\s*(?:-\s*(\d{1,3})\s*)?", text)
    if match is None:
        raise UserError(f"--on-layers {text!r}: a layer or a range such as 4-7 is needed")
    return int(match[1]), int(match[2] or match[1])


def parse_positions(text: str) -> list[float]:
    """ "-4:4:7" → seven numbers from −4 to 4. Raises UserError."""
    parts = text.split(":")
    first, last = (_number(part) for part in (parts[0], parts[1])) if len(parts) == 3 else (None, None)
    steps = int(parts[2]) if len(parts) == 3 and re.fullmatch(r"\s*\d{1,4}\s*", parts[2]) else 0
    if first is None or last is None or not 1 <= steps <= _MOST_POSITIONS:
        raise UserError(f"--positions {text!r} is not like -4:4:7: from, to, and 1 to {_MOST_POSITIONS} steps")
    return np.linspace(first, last, steps).tolist()


def parse_within(text: str, segments: str | None) -> RegionChoice:
    """A region: a box, a picture, or names of segments; ids with a label map. Raises UserError, EditError."""
    is_box = len(text.split(",")) == 4 and all(_number(part) is not None for part in text.split(","))
    is_picture = Path(text).suffix != "" or Path(text).is_file()
    named = segments is not None or not (is_box or is_picture)
    return RegionChoice.of(
        region=None if named else text, segment=text if named else None, segments=segments, mask=None
    )


def _number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
