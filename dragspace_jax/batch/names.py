"""The lines of a batch: how many there are, what each is called, and how its files are."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from dragspace_jax.batch.lines import LineError, line_id, read_lines


class BatchLines:
    """Looks through a file of edits before any of them runs.

    Args:
      edits: the file.

    Attributes:
      total: lines that are not blank.
      repeated: {id: numbers of the lines} of ids that several lines name; only the first of them has it.
    """

    def __init__(self, edits: Path) -> None:
        self._edits = edits
        self._given: dict[str, int] = {}
        self.total = 0
        self.repeated: dict[str, list[int]] = {}
        for number, raw in self.read():
            self.total += 1
            name = line_id(raw)
            if name is None:
                continue
            if name in self._given:
                self.repeated.setdefault(name, [self._given[name]]).append(number)
            self._given.setdefault(name, number)

    def read(self) -> Iterator[tuple[int, bytes]]:
        """The lines with their numbers, as `read_lines` gives them."""
        return read_lines(self._edits)

    def names(self, stems: Iterable[str] = ()) -> Names:
        """Names for the lines from the first on, where files have the `stems` already."""
        return Names(self._given, stems)

    def named(self) -> Iterator[tuple[str, bytes]]:
        """The lines with the ids under which their results stand."""
        names = self.names()
        for number, raw in self.read():
            yield names.claim_anyhow(line_id(raw), number), raw


class Names:
    """Gives every line its id and every edit the stem of its files.

    Args:
      given: ids that lines name themselves, also lines that are still to come; no other line gets one of them.
      stems: those that are in use.
    """

    def __init__(self, given: Collection[str], stems: Iterable[str]) -> None:
        self._given = given
        self._lines: dict[str, int] = {}
        self._stems = {stem.casefold() for stem in stems}

    def claim(self, name: str | None, number: int) -> str:
        """The id of line `number`: what it names, else one made of the number. Raises LineError if it is taken."""
        if name is None:
            name = f"line-{number:06d}"
            while name in self._lines or name in self._given:
                name += "+"
        elif name in self._lines:
            raise LineError(f"the id {json.dumps(name)} is that of line {self._lines[name]} already")
        self._lines[name] = number
        return name

    def claim_anyhow(self, name: str | None, number: int) -> str:
        """`claim`, where an id that is taken counts as none."""
        return self.claim(None if name in self._lines else name, number)

    def stem(self, name: str) -> str:
        """A name for files that no other edit has, on systems that do not tell A from a either."""
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80].strip(".") or "edit"
        stem, number = safe, self._lines[name]
        while stem.casefold() in self._stems:
            stem, number = f"{safe}-{number}", number + 1
        self._stems.add(stem.casefold())
        return stem
