"""What may change of an image, as options and lines name it: a box, a picture, segments; and the region it comes to."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dragspace_jax.biggan import BigGAN, BigGANLatents
from dragspace_jax.critters.segments import SegmentError, check_names, named_region, seen_segments
from dragspace_jax.drag import EditError
from dragspace_jax.drag.region import box_region, label_region
from dragspace_jax.input_pictures import read_labels, read_region
from dragspace_jax.stylegan2 import Generator, Latents

_KEPT = 64  # pictures and label maps, of 1024 px: 256 MiB
_LARGEST = 1e6
_LONGEST_NAME, _MOST_NAMES = 40, 256

Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionChoice:
    """What may change, as it is named; all of the image if nothing is.

    Attributes:
      region: a box (x, y, width, height) in pixels, or the path of a picture as written, or None.
      segment: names of segments and groups, or ids of a label map.
      segments: path of that label map as written, or None.
    """

    region: Box | str | None = None
    segment: tuple[str, ...] = ()
    segments: str | None = None

    @classmethod
    def of(cls, *, region: Any, segment: Any, segments: str | None, mask: Any) -> RegionChoice:
        """Check values as they are typed or stand in a line; None counts as absent.

        Args:
          region: "x,y,w,h", a list of four numbers, or a path.
          segment: "name,name", or a list of names; ids may be whole numbers.
          segments: a path.
          mask: anything but None if a mask is given, which says the same the other way round.

        Raises:
          EditError: a value is not of that kind, or two contradict each other.
        """
        for field, value in (("region", region), ("segment", segment)):
            if mask is not None and value is not None:
                raise EditError(
                    f"give either `mask` or `{field}`: where the image must stay, or where it may change",
                    field=f"mask {field}",
                )
        if segments is not None and segment is None:
            raise EditError("`segments` needs `segment`: which of its ids may change", field="segments segment")
        return cls(
            region=None if region is None else _box_or_path(region),
            segment=() if segment is None else _names(segment),
            segments=segments,
        )

    def __bool__(self) -> bool:
        return self.region is not None or bool(self.segment)


class RegionReader:
    """Makes regions of choices.

    Args:
      model: the generator of the edits.
      species: what it draws if that is critters (`evaluator.species_of`), whose segments can be seen; else None.
      folder: what paths are relative to.
    """

    def __init__(self, model: Generator | BigGAN, species: str | None, folder: Path) -> None:
        self._model, self._species, self._folder = model, species, folder
        self._side = model.config.resolution
        self._picture = lru_cache(_KEPT)(lambda path: read_region(folder / path, side=self._side))
        self._labels = lru_cache(_KEPT)(lambda path: read_labels(folder / path, side=self._side))
        self._seen: dict[str, np.ndarray] = {}

    def region(self, choice: RegionChoice, start: Latents | BigGANLatents) -> np.ndarray | None:
        """All that is chosen, bool [H, W], not grown yet; None if nothing is.

        Args:
          choice: what may change.
          start: latents of the image where the edit starts, on which segments are seen.

        Raises:
          EditError: a box outside the image, or an id that is not on the label map.
          SegmentError: a segment that is not known or not seen, or a model whose pictures need a label map.
          InputError: a file that is not as it should be.
        """
        parts = []
        if isinstance(choice.region, str):
            parts.append(self._picture(choice.region))
        elif choice.region is not None:
            parts.append(box_region(choice.region, self._side))
        if choice.segments is not None:
            parts.append(label_region(self._labels(choice.segments), _ids(choice.segment)))
        elif choice.segment:
            parts.append(self._segments(choice.segment, start))
        return np.logical_or.reduce(parts) if parts else None

    def _segments(self, names: tuple[str, ...], start: Latents | BigGANLatents) -> np.ndarray:
        if self._species is None:
            raise SegmentError(
                f"segment {','.join(names)}: only on the embedded models, opened by their names, are segments seen; "
                "give a label map as `segments`, with ids of it, or a `region`",
                field="segment segments region",
            )
        check_names(names)
        key = _key(start)
        if key not in self._seen:
            if len(self._seen) >= _KEPT:
                self._seen.pop(next(iter(self._seen)))
            one = jax.tree.map(lambda leaf: np.asarray(leaf)[None], start)
            self._seen[key] = seen_segments(self._model, one)[0]
        return named_region(self._seen[key], names)


def _key(latents: Latents | BigGANLatents) -> str:
    whole = hashlib.sha256()
    for name, array in sorted(latents.arrays().items()):
        whole.update(f"{name} {array.shape}".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def _box_or_path(value: Any) -> Box | str:
    numbers = value
    if isinstance(value, str):
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) < 2 and value:
            return value
    kinds = isinstance(numbers, list) and len(numbers) == 4 and all(type(each) in (int, float) for each in numbers)
    if not kinds or not all(abs(each) <= _LARGEST for each in numbers):
        raise EditError(f"region is {_shown(value)}; it must be x,y,width,height or a picture", field="region")
    x, y, width, height = map(float, numbers)
    return x, y, width, height


def _names(value: Any) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    if not all(type(each) in (str, int) for each in given):
        raise EditError(f"segment is {_shown(value)}; it must be names or ids", field="segment")
    names = tuple(str(each).strip() for each in given)
    if not 1 <= len(names) <= _MOST_NAMES or not all(1 <= len(name) <= _LONGEST_NAME for name in names):
        raise EditError(
            f"segment is {_shown(value)}; it must be 1 to {_MOST_NAMES} names or ids, of at most {_LONGEST_NAME} signs",
            field="segment",
        )
    return names


def _ids(names: tuple[str, ...]) -> list[int]:
    for name in names:
        if not (name.isascii() and name.isdecimal()):
            raise EditError(f"segment {name!r} is no id of a label map, which is a whole number", field="segment")
    return [int(name) for name in names]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
