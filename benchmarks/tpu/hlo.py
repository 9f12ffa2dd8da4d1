"""Optimised HLO as text, read into instructions: the form in which XLA tells what it made of a program.

Read are names, shapes with their memory space, operands, attributes and the place in the source; of a TPU's program
also `estimated_cycles`, which its compiler writes beside nearly every instruction. Nothing here needs a TPU or its
compiler.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping

_BITS = re.compile(r"[a-z]+(\d+)")
_ARRAY = re.compile(r"([a-z][a-z0-9]*)\[([\d,]*)\](?:\{([^}]*)\})?")
_HEAD = re.compile(r"^(ENTRY )?%?(\S+) \(.*\{$")
_LINE = re.compile(r"^\s+(ROOT )?%?(\S+) = ")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_FRAME = re.compile(r"stack_frame_id=(\d+)")
_OPERATION = re.compile(r'op_name="((?:[^"\\]|\\.)*)"')
_NAME = re.compile(r"%([^\s,(){}]+)")
_CALLED = re.compile(r"(?:calls|body|condition|to_apply|called_computations|branch_computations)=(\{[^}]*\}|%[^\s,]+)")


@dataclasses.dataclass(frozen=True)
class Array:
    """An array's type: element type, sides, and whether it lies in the device's main memory or in a nearer one."""

    dtype: str
    sides: tuple[int, ...]
    near: bool

    @property
    def elements(self) -> int:
        count = 1
        for side in self.sides:
            count *= side
        return count

    @property
    def bytes(self) -> int:
        bits = 8 if self.dtype == "pred" else int(match[1]) if (match := _BITS.match(self.dtype)) else 0
        return self.elements * bits // 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction.

    Attributes:
      name, opcode: as in the text.
      arrays: of its result; several if that is a tuple.
      operands: names of instructions of the same computation; of a constant its value.
      attributes: the rest of the line.
      root: whether it is its computation's result.
      cycles: what the compiler says it takes; None if it says nothing.
      frame: the number of its place in the source; None if it has none.
      operation: JAX's name of it, with the transformations it came through.
    """

    name: str
    opcode: str
    arrays: tuple[Array, ...]
    operands: tuple[str, ...]
    attributes: str
    root: bool
    cycles: int | None
    frame: int | None
    operation: str

    @property
    def called(self) -> tuple[str, ...]:
        """The computations it runs, a loop's condition and body in the order of the text."""
        return tuple(name for match in _CALLED.finditer(self.attributes) for name in _NAME.findall(match[1]))

    def attribute(self, name: str) -> str | None:
        """The text of an attribute, without the braces around it."""
        match = re.search(rf"\b{name}=(?:\{{([^}}]*)\}}|([^\s,]+))", self.attributes)
        return None if match is None else match[1] if match[1] is not None else match[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Module:
    """A program.

    Attributes:
      computations: {name: its instructions, in order}.
      entry: name of the one that runs.
      places: {frame: "file:line"} of the innermost call of each.
    """

    computations: Mapping[str, tuple[Instruction, ...]]
    entry: str
    places: Mapping[int, str]

    def of(self, computation: str) -> Mapping[str, Instruction]:
        """A computation's instructions by name."""
        return {instruction.name: instruction for instruction in self.computations[computation]}

    def inside(self, instruction: Instruction) -> Iterator[Instruction]:
        """The instructions of all computations that one runs, and of those that these run."""
        for name in instruction.called:
            for inner in self.computations.get(name, ()):
                yield inner
                yield from self.inside(inner)

    def place(self, instruction: Instruction) -> str:
        """ "file:line" that an instruction comes from, "backward " before it if it belongs to a gradient."""
        candidates = [instruction, *self.inside(instruction)]
        known = [each for each in candidates if each.frame in self.places]
        if not known:
            return f"(no source: {instruction.opcode})"
        best = next((each for each in known if each.opcode == "convolution"), known[0])
        assert best.frame is not None  # it is among the places
        return ("backward " if "transpose(" in best.operation else "") + self.places[best.frame]


def read(text: str) -> Module:
    """The text of a module, as `Compiled.as_text()` gives it.

    Raises:
      ValueError: there is no entry computation in it.
    """
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if current is None:
            head = _HEAD.match(line)
            if head is not None:
                current = computations.setdefault(head[2], [])
                entry = head[2] if head[1] else entry
        elif line.startswith("}"):
            current = None
        elif (start := _LINE.match(line)) is not None:
            current.append(_instruction(line[start.end() :], start[2], bool(start[1])))
    if not entry:
        raise ValueError("the text holds no ENTRY computation; is it the HLO of a compiled program?")
    frozen = {name: tuple(instructions) for name, instructions in computations.items()}
    return Module(computations=frozen, entry=entry, places=_places(text))


def _instruction(rest: str, name: str, root: bool) -> Instruction:
    """What follows "name = " on a line."""
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    opening = rest.index("(", end)
    closing = _closing(rest, opening)
    opcode, inner, attributes = rest[end:opening].strip(), rest[opening + 1 : closing], rest[closing + 1 :]
    cycles, frame, operation = (pattern.search(attributes) for pattern in (_CYCLES, _FRAME, _OPERATION))
    return Instruction(
        name=name,
        opcode=opcode,
        arrays=tuple(_arrays(rest[:end])),
        operands=(inner,) if opcode in ("constant", "parameter") else tuple(_NAME.findall(inner)),
        attributes=attributes,
        root=root,
        cycles=None if cycles is None else int(cycles[1]),
        frame=None if frame is None else int(frame[1]),
        operation="" if operation is None else operation[1],
    )


def _closing(text: str, opening: int) -> int:
    """Where the parenthesis that opens there is closed."""
    depth = 0
    for place in range(opening, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place
    raise ValueError(f"a parenthesis is not closed: {text[opening : opening + 80]}")


def _arrays(shape: str) -> Iterator[Array]:
    for match in _ARRAY.finditer(shape):
        sides = tuple(int(side) for side in match[2].split(",") if side)
        yield Array(match[1], sides, "S(" in (match[3] or ""))


def _places(text: str) -> dict[int, str]:
    """{frame: "file:line"} by the four tables at the head of the text."""
    tables: dict[str, list[str]] = {}
    table = None
    for line in text.splitlines():
        if line in ("FileNames", "FunctionNames", "FileLocations", "StackFrames"):
            table = tables.setdefault(line, [])
        elif table is not None and re.match(r"^\d+ ", line):
            table.append(line)
        elif tables and line:
            break
    files = {
        int(number): name.strip('"') for number, name in (row.split(" ", 1) for row in tables.get("FileNames", []))
    }
    locations = {}
    for row in tables.get("FileLocations", []):
        location = re.match(r"(\d+) \{file_name_id=(\d+) .*\bline=(\d+)", row)
        if location is not None:
            locations[int(location[1])] = f"{_short(files[int(location[2])])}:{location[3]}"
    frames = (re.match(r"(\d+) \{file_location_id=(\d+)", row) for row in tables.get("StackFrames", []))
    return {int(frame[1]): locations[int(frame[2])] for frame in frames if frame is not None}


def _short(file: str) -> str:
    """A path from the package on."""
    return file[file.rindex("dragspace_jax/") :].removeprefix("dragspace_jax/") if "dragspace_jax/" in file else file
