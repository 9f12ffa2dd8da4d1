"""Cycles of a program by its optimised HLO, counted so that nothing comes out cheaper than it can be.

An instruction counts once for each trip of every loop around it. It takes what the compiler estimates, and no less than
its own multiply-adds take at the peak; without an estimate (a custom call, a copy that runs beside others) it takes the
larger of its multiply-adds at the peak and its bytes at the main memory's bandwidth. Copies beside others count as if
they had the chip for themselves.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping

from .hlo import Array, Instruction, Module
from .targets import Target

_FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id",
    "copy-done", "slice-done", "async-done", "async-update", "all-reduce-done", "all-gather-done",
    "collective-permute-done", "opt-barrier", "add-dependency", "iota",
}  # fmt: skip
"""They name what is there, or end what was counted where it began."""
COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter", "send", "recv")
_PASSES = {"highest": 6, "high": 3}
"""Of bfloat16 that a float32 product takes."""


@dataclasses.dataclass(kw_only=True)
class Count:
    """What some instructions take, together.

    Attributes:
      cycles: of all.
      products: of those with a matrix product.
      floor: of these, were every product at the peak.
      unestimated: of those that the compiler says nothing of.
      flops: of the matrix products, two a multiply-add.
      bytes: between main memory and chip.
      by_place: cycles by the line of the source.
      unknown_loops: loops whose number of trips the text does not tell; they count once.
    """

    cycles: float = 0.0
    products: float = 0.0
    floor: float = 0.0
    unestimated: float = 0.0
    flops: float = 0.0
    bytes: float = 0.0
    by_place: dict[str, float] = dataclasses.field(default_factory=dict)
    unknown_loops: int = 0

    def add(self, other: Count, times: int = 1) -> None:
        """Add another count, so many times."""
        for name in ("cycles", "products", "floor", "unestimated", "flops", "bytes"):
            setattr(self, name, getattr(self, name) + times * getattr(other, name))
        for place, cycles in other.by_place.items():
            self.by_place[place] = self.by_place.get(place, 0.0) + times * cycles
        self.unknown_loops += other.unknown_loops


def whole(module: Module, target: Target) -> Count:
    """The whole program."""
    return computation(module, module.entry, target)


def iteration(module: Module, target: Target) -> Count:
    """One trip of the dearest loop of the entry computation, its condition included.

    Raises:
      ValueError: there is no loop.
    """
    return max((_trip(module, loop, target) for loop in _loops(module)), key=lambda count: count.cycles)


def collectives(module: Module) -> set[str]:
    """The opcodes within loops of the entry computation by which chips would wait for each other."""
    inner = (each.opcode.removesuffix("-start") for loop in _loops(module) for each in module.inside(loop))
    return {opcode for opcode in inner if opcode in COLLECTIVES}


def _loops(module: Module) -> list[Instruction]:
    loops = [each for each in module.computations[module.entry] if each.opcode == "while"]
    if not loops:
        raise ValueError("the program holds no loop")
    return loops


def computation(module: Module, name: str, target: Target) -> Count:
    """A computation, whatever it runs included."""
    total, known = Count(), module.of(name)
    for instruction in known.values():
        if instruction.opcode == "while":
            trips = trips_of(module, instruction)
            total.add(_trip(module, instruction, target), trips or 1)
            total.unknown_loops += trips is None
        elif instruction.opcode == "conditional":
            branches = [computation(module, branch, target) for branch in instruction.called]
            total.add(max(branches, key=lambda count: count.cycles))
        elif instruction.opcode == "call":
            for called in instruction.called:
                total.add(computation(module, called, target))
        elif instruction.opcode not in _FREE:
            total.add(_one(module, known, instruction, target))
    return total


def _trip(module: Module, loop: Instruction, target: Target) -> Count:
    total = Count()
    for name in loop.called:
        total.add(computation(module, name, target))
    return total


def trips_of(module: Module, loop: Instruction) -> int | None:
    """How often a loop runs, if it counts from 0 to a constant; None if the text does not tell."""
    stated = re.search(r'known_trip_count":\{"n":"(\d+)"', loop.attributes)
    if stated is not None:
        return int(stated[1])
    condition = loop.attribute("condition")
    if condition is None:
        return None
    instructions = module.of(condition.lstrip("%"))
    limits = []
    for each in instructions.values():
        if each.opcode == "compare" and each.attribute("direction") == "LT":
            limit = instructions.get(each.operands[1])
            if limit is not None and limit.opcode == "constant":
                limits.append(int(limit.operands[0]))
    return limits[0] if len(limits) == 1 else None


def _one(module: Module, home: Mapping[str, Instruction], instruction: Instruction, target: Target) -> Count:
    products = list(_products(module, home, instruction))
    passes = sum(flops * repeats for flops, repeats in products)
    moved = _far_bytes(module, home, instruction)
    floor = target.clock * passes / target.flops
    estimated = instruction.cycles
    cycles = max(floor, target.clock * moved / target.bandwidth if estimated is None else float(estimated))
    return Count(
        cycles=cycles,
        products=cycles if products else 0.0,
        floor=floor,
        unestimated=cycles if estimated is None else 0.0,
        flops=float(sum(flops for flops, _ in products)),
        bytes=float(moved),
        by_place={module.place(instruction): cycles},
    )


def _products(module: Module, home: Mapping[str, Instruction], instruction: Instruction) -> Iterator[tuple[int, int]]:
    """(operations, passes of the matrix unit) of the matrix products that an instruction is or runs."""
    if instruction.opcode in ("convolution", "dot"):
        yield _flops(home, instruction), _passes(home, instruction)
    for name in instruction.called:
        inner = module.of(name) if name in module.computations else {}
        for each in inner.values():
            yield from _products(module, inner, each)


def _passes(home: Mapping[str, Instruction], product: Instruction) -> int:
    """bfloat16 products that it is made of."""
    if all(array.dtype != "f32" for name in product.operands for array in home[name].arrays):
        return 1
    precision = product.attribute("operand_precision") or ""
    return next((passes for word, passes in _PASSES.items() if word in precision.split(",")), 1)


def _flops(home: Mapping[str, Instruction], product: Instruction) -> int:
    """Two for every multiply-add that meets neither padding nor an inserted zero."""
    left, right = (home[name].arrays[0].sides for name in product.operands[:2])
    if product.opcode == "dot":
        contracted = product.attribute("lhs_contracting_dims") or ""
        return 2 * product.arrays[0].elements * math.prod(left[int(axis)] for axis in contracted.split(",") if axis)
    labels = re.match(r"(\w+)_(\w+)->(\w+)", product.attribute("dim_labels") or "")
    assert labels is not None  # every convolution has them
    of_left, of_right, of_result = labels.groups()
    result = product.arrays[0].sides
    window = dict(re.findall(r"(\w+)=(\S+)", product.attribute("window") or ""))
    # A grouped convolution's kernel holds the inputs of one group: `i` is what a result adds up.
    total = result[of_result.index("b")] * result[of_result.index("f")] * right[of_right.index("i")]
    for axis in range(sum(label.isdigit() for label in of_result)):
        label = str(axis)
        total *= _pairs(
            inputs=left[of_left.index(label)],
            outputs=result[of_result.index(label)],
            taps=right[of_right.index(label)],
            before=int(_along(window, "pad", axis, "0_0").split("_")[0]),
            stride=int(_along(window, "stride", axis, "1")),
            spread=int(_along(window, "lhs_dilate", axis, "1")),
            reach=int(_along(window, "rhs_dilate", axis, "1")),
        )
    return 2 * total


def _along(window: Mapping[str, str], name: str, axis: int, default: str) -> str:
    return window[name].split("x")[axis] if name in window else default


def _pairs(*, inputs: int, outputs: int, taps: int, before: int, stride: int, spread: int, reach: int) -> int:
    """Pairs of an output and a tap on one axis that meet an input."""
    places = (stride * output + reach * tap - before for output in range(outputs) for tap in range(taps))
    return sum(0 <= place < (inputs - 1) * spread + 1 and place % spread == 0 for place in places)


def _far_bytes(module: Module, home: Mapping[str, Instruction], instruction: Instruction) -> int:
    """Bytes that go between main memory and chip: results there, and of operands there what is read of them."""
    if instruction.opcode.endswith("-start"):
        # (result, operand, …): one of them is far, else nothing leaves the chip.
        sizes = [array.bytes for array in instruction.arrays[:2]]
        return min(sizes, default=0) if any(not array.near for array in instruction.arrays[:2]) else 0
    if instruction.opcode == "dynamic-update-slice":
        return 2 * _far(home[instruction.operands[1]].arrays)
    if instruction.opcode in ("dynamic-slice", "slice", "gather"):
        return 2 * _far(instruction.arrays)
    read = [_read(module, instruction, number, home[name]) for number, name in enumerate(instruction.operands)]
    return sum(read) + _far(instruction.arrays)


def _read(module: Module, instruction: Instruction, number: int, operand: Instruction) -> int:
    """Bytes of an operand in main memory that a fusion reads: the pieces, where pieces are all that it takes of it."""
    far = _far(operand.arrays)
    if instruction.opcode != "fusion" or not far or not instruction.called:
        return far
    body = module.computations[instruction.called[0]]
    parameter = next((p.name for p in body if p.opcode == "parameter" and p.operands == (str(number),)), None)
    users = [each for each in body if parameter in each.operands]
    if users and all(each.opcode in ("slice", "dynamic-slice", "gather") for each in users):
        return min(far, sum(array.bytes for each in users for array in each.arrays))
    return far


def _far(arrays: Iterable[Array]) -> int:
    return sum(array.bytes for array in arrays if not array.near)
