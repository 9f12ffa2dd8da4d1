"""The lines of an edits file (JSONL) as values: what each may hold, and what is wrong with one that holds else.

A line comes from anywhere, so nothing in it is trusted: whatever it is, it becomes an `EditLine` or a `LineError`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dragspace_jax.batch.regions import RegionChoice
from dragspace_jax.drag.recipes import CHOICE_KEYS, RECIPES, SETTING_KEYS
from dragspace_jax.drag.settings import PUBLISHED_SIDE, SETTINGS, EditError
from dragspace_jax.errors import DragspaceError, renamed
from dragspace_jax.spaces.option_fields import SPACE_OPTIONS

LONGEST_LINE = 2**20
"""Bytes; an edit of as many points as are allowed needs a hundredth of it."""
MOST_POINTS = 256
LONGEST_ID = 200
_LARGEST_SEED = 2**32 - 1  # what RandomState takes
_LARGEST_WHOLE = 2**31 - 1
_LARGEST_NUMBER = 1e30  # within float32, with room to square a radius

_KINDS: dict[str, str] = {
    "id": "text", "seed": "whole", "latents": "text", "psi": "number", "label": "whole", "mask": "text",
    "invert_mask": "flag", "region": "region", "segment": "region", "segments": "text", "recipe": "choice",
    **{key: "text" if option.kind in ("file", "text") else option.kind for key, option in SPACE_OPTIONS.items()},
    **{
        key: "choice" if SETTINGS[field].choices else "whole" if SETTINGS[field].whole else "number"
        for key, field in SETTING_KEYS.items()
    },
}  # fmt: skip
"""{key: what its value is}, of all but points; `RegionChoice` knows what a region may be."""
_CHOICES = {
    "recipe": RECIPES,
    **{key: option.choices for key, option in SPACE_OPTIONS.items()},
    **{key: SETTINGS[field].choices for key, field in SETTING_KEYS.items()},
}
_POINTS = ("handles", "targets", "points")


class LineError(DragspaceError):
    """A line that is no edit; the message names the key and what it should be.

    Attributes:
      id: the line's own name, if that much could be read.
    """

    def __init__(self, message: str, *, id: str | None = None, field: str = "") -> None:
        super().__init__(message, field=field)
        self.id = id


@dataclasses.dataclass(frozen=True, kw_only=True)
class EditLine:
    """What a line says; of the settings only those that it names.

    Attributes:
      id: its name, or None.
      seed, latents: where it starts, exactly one of them; `latents` is a path as written.
      psi, label: of the seed, or None.
      handles_yx, targets_yx: [N, 2] float32, pixels of the model's image.
      mask: path of a picture as written, or None.
      invert_mask: whether black stays.
      may_change: the region, its paths as written.
      settings: how to drag, by `CHOICE_KEYS` (`lr`, `space`, …); `basis` is a path as written.
    """

    id: str | None
    seed: int | None
    latents: str | None
    psi: float | None
    label: int | None
    handles_yx: np.ndarray
    targets_yx: np.ndarray
    mask: str | None
    invert_mask: bool
    may_change: RegionChoice
    settings: Mapping[str, Any]


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1; of a line over `LONGEST_LINE`, its beginning only."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(LONGEST_LINE + 1):
            number += 1
            part = raw
            while not part.endswith(b"\n") and (part := file.readline(LONGEST_LINE)):
                pass
            if len(raw) > LONGEST_LINE or raw.strip():
                yield number, raw


def parse_line(raw: bytes, side: int) -> EditLine:
    """A line's edit, for a model with images of `side` pixels.

    Points of the FreeDragBench form, (row, column) of a 512 px picture, move to the same place of the model's image:
    pixel centres are whole numbers in both, so a ↦ (a + 0.5) · side / 512 − 0.5, clipped to the image.

    Raises:
      LineError: it is not an edit. Whether its numbers fit the model is not looked at.
    """
    line = _object(raw)
    try:
        values = _values(line)
        if (values["seed"] is None) == (values["latents"] is None):
            raise LineError("give either seed or latents")
        if values["latents"] is not None and values["psi"] is not None:
            raise LineError("psi goes with seed; latents are truncated already")
        if values["invert_mask"] and values["mask"] is None:
            raise LineError("invert_mask needs mask")
        may_change = RegionChoice.of(**{key: values[key] for key in ("region", "segment", "segments", "mask")})
        handles, targets = _handles_and_targets(values, side)
    except (LineError, EditError) as error:
        message = renamed(error, {field: field for field in error.field.split()})
        raise LineError(message, id=_usable_id(line)) from None
    return EditLine(
        id=values["id"],
        seed=values["seed"],
        latents=values["latents"],
        psi=values["psi"],
        label=values["label"],
        handles_yx=handles,
        targets_yx=targets,
        mask=values["mask"],
        invert_mask=bool(values["invert_mask"]),
        may_change=may_change,
        settings={key: values[key] for key in CHOICE_KEYS if values[key] is not None},
    )


def line_id(raw: bytes) -> str | None:
    """The id that a line names, if that much can be read; `parse_line` tells the same one."""
    try:
        return _usable_id(_object(raw))
    except LineError:
        return None


def _usable_id(line: dict[str, Any]) -> str | None:
    name = line.get("id")
    return name if isinstance(name, str) and 0 < len(name) <= LONGEST_ID else None


def _object(raw: bytes) -> dict[str, Any]:
    if len(raw) > LONGEST_LINE:
        raise LineError(f"the line is longer than {LONGEST_LINE:,} bytes")
    try:
        line = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_each_once)
    except UnicodeDecodeError as error:
        raise LineError(f"not UTF-8 (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        raise LineError(f"not JSON: {error.msg} (column {error.colno})") from error
    except RecursionError as error:
        raise LineError("not an edit: nested too deeply") from error
    except LineError:
        raise
    except ValueError as error:  # a number with more digits than Python converts
        raise LineError("a number has too many digits") from error
    if not isinstance(line, dict):
        raise LineError(f"not a JSON object but {_shown(line)}")
    return line


def _no_constant(name: str) -> NoReturn:
    raise LineError(f"{name} is not a number of JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise LineError(f"the key {_shown(key)} stands twice")
        values[key] = value
    return values


def check_choices(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Values by `CHOICE_KEYS`, checked as those of a line; None counts as absent.

    Raises:
      LineError: an unknown key, or a value that is not what the key takes.
    """
    return _checked(chosen, CHOICE_KEYS)


def _values(line: dict[str, Any]) -> dict[str, Any]:
    """All known keys, those that are absent or null as None; everything but points is checked."""
    return {**_checked({key: value for key, value in line.items() if key not in _POINTS}, (*_KINDS, *_POINTS)),
            **{key: line.get(key) for key in _POINTS}}  # fmt: skip


def _checked(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    for key in values:
        if key not in known:
            raise LineError(f"unknown key {_shown(key)}; known are {', '.join(sorted(known))}")
    return {key: _value(key, values.get(key)) for key in known if key in _KINDS}


def _value(key: str, value: Any) -> Any:
    """A value of the kind that its key takes; None stays, and so does what `RegionChoice` checks."""
    kind = _KINDS[key]
    if value is None or kind == "region":
        return value
    if kind == "whole":
        most = _LARGEST_SEED if key == "seed" else _LARGEST_WHOLE
        if type(value) is not int or not 0 <= value <= most:
            raise LineError(f"{key} is {_shown(value)}; it must be a whole number from 0 to {most}", field=key)
    elif kind == "number":
        value = _number(value, key)
    elif kind == "flag":
        if not isinstance(value, bool):
            raise LineError(f"{key} is {_shown(value)}; it must be true or false", field=key)
    elif kind == "text":
        if not isinstance(value, str) or not value:
            raise LineError(f"{key} is {_shown(value)}; it must be a text", field=key)
        if key == "id" and len(value) > LONGEST_ID:
            raise LineError(f"id has {len(value)} characters; at most {LONGEST_ID}")
    elif value not in _CHOICES[key]:
        raise LineError(f"{key} is {_shown(value)}; it must be one of {', '.join(_CHOICES[key])}", field=key)
    if key in SETTING_KEYS:
        setting = SETTINGS[SETTING_KEYS[key]]
        try:
            setting.check(key, value)
        except EditError:
            raise LineError(f"{key} is {_shown(value)}; it must be {setting.range}", field=key) from None
    return value


def _handles_and_targets(values: dict[str, Any], side: int) -> tuple[np.ndarray, np.ndarray]:
    """[N, 2] (y, x) each, from `handles` and `targets` or from `points`."""
    if values["points"] is None:
        for key in ("handles", "targets"):
            if values[key] is None:
                raise LineError(f"{key} are missing")
        handles, targets = (_points(values[key], key)[:, ::-1] for key in ("handles", "targets"))
    else:
        points = values["points"]
        if values["handles"] is not None or values["targets"] is not None:
            raise LineError("give either points or handles and targets")
        if not isinstance(points, dict) or set(points) != {"handle", "target"}:
            raise LineError(f'points is {_shown(points)}; it must be {{"handle": [[row, column], …], "target": …}}')
        marked = [_points(points[key], f"points.{key}") for key in ("handle", "target")]
        scale = side / PUBLISHED_SIDE
        handles, targets = (np.clip((p + 0.5) * scale - 0.5, 0.0, side - 1.0) for p in marked)
    if len(handles) != len(targets):
        raise LineError(f"there are {len(handles)} handles and {len(targets)} targets; every handle needs its target")
    return handles.astype(np.float32), targets.astype(np.float32)


def _points(value: Any, key: str) -> np.ndarray:
    if not isinstance(value, list) or not all(isinstance(point, list) and len(point) == 2 for point in value):
        raise LineError(f"{key} is {_shown(value)}; it must be a list of pairs, [[a, b], …]")
    if not 1 <= len(value) <= MOST_POINTS:
        raise LineError(f"{key} has {len(value)} points; it must have 1 to {MOST_POINTS}")
    return np.array([[_number(number, key) for number in point] for point in value], np.float64)


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise LineError(f"{key}: {_shown(value)} is not a number", field=key)
    if abs(value) > _LARGEST_NUMBER:
        raise LineError(f"{key}: {_shown(value)} is too large", field=key)
    return float(value)


def _shown(value: Any) -> str:
    """A value of a line in few characters, on one line."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "a deep nesting"
    return text if len(text) <= 60 else text[:57] + "…"
