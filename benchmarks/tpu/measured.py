"""One program compiled for a TPU, and what its compiler tells of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from ..device_rates import Precision
from ..machine import compiling_anew
from . import count, hlo
from .cases import PROGRAMS
from .targets import Target, devices

ITERATIONS = 100
"""Of an edit, where edits a second are told."""
_DEAREST = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A program by its compiler's estimate; nothing of it was run.

    Attributes:
      case, target, dtype: what was compiled, for what.
      lanes: on each chip.
      chips: how many.
      compile_seconds: on this machine, whatever else it did.
      argument_bytes, temporary_bytes: memory on each chip.
      cycles_per_edit_iteration: or per image, or per Jacobian.
      microseconds: the same by the chip's clock.
      convolution_share: of the cycles, in instructions with a matrix product.
      floor_share: what these would take at the peak, over all cycles.
      other_cycles: of an iteration of all lanes, without the matrix products.
      unestimated_share: of the cycles, in instructions of which the compiler tells nothing.
      bytes: between main memory and chip, of one edit-iteration.
      flops: of one edit-iteration, in matrix products.
      by_clock, by_bandwidth: edits of `ITERATIONS` iterations a second and chip, if nothing but the one or the other
        held them up; images or Jacobians a second.
      collectives: instructions in the loop by which chips wait for each other.
      unknown_loops: loops whose trips the program does not tell; they count once.
      dearest: (line of the source, share of the cycles), the dearest first.
    """

    case: str
    target: str
    dtype: Precision
    lanes: int
    chips: int
    compile_seconds: float
    argument_bytes: int
    temporary_bytes: int
    cycles_per_edit_iteration: float
    microseconds: float
    convolution_share: float
    floor_share: float
    other_cycles: float
    unestimated_share: float
    bytes: float
    flops: float
    by_clock: float
    by_bandwidth: float
    collectives: list[str]
    unknown_loops: int
    dearest: list[tuple[str, float]]


def measure(
    case: str,
    target: Target,
    *,
    lanes: int,
    dtype: Precision,
    chips: int = 1,
    keep: Callable[[str], Any] = lambda text: None,
) -> Row:
    """Compile a case and count.

    Args:
      case: of `PROGRAMS`.
      target: the TPU.
      lanes: on each chip.
      dtype: of the synthesis.
      chips: up to four; only drags know more than one.
      keep: is given the compiled program's text.

    Raises:
      TargetError: there is no compiler for it here.
    """
    make, edit = PROGRAMS[case]
    program = make(edit, devices(target)[:chips], lanes, dtype)
    with compiling_anew():
        began = time.perf_counter()
        compiled = program.lowered.compile()
        seconds = time.perf_counter() - began
    text = compiled.as_text()
    memory = compiled.memory_analysis()
    assert text is not None  # TPU's compiler gives both
    assert memory is not None
    keep(text)
    module = hlo.read(text)
    counted = count.iteration(module, target) if program.loops else count.whole(module, target)
    each = 1 / program.units
    units = ITERATIONS if program.loops else 1
    dearest = sorted(counted.by_place.items(), key=lambda item: -item[1])[:_DEAREST]
    return Row(
        case=case,
        target=target.name,
        dtype=dtype,
        lanes=program.units,
        chips=chips,
        compile_seconds=seconds,
        argument_bytes=memory.argument_size_in_bytes,
        temporary_bytes=memory.temp_size_in_bytes,
        cycles_per_edit_iteration=each * counted.cycles,
        microseconds=1e6 * each * counted.cycles / target.clock,
        convolution_share=counted.products / counted.cycles,
        floor_share=counted.floor / counted.cycles,
        other_cycles=counted.cycles - counted.products,
        unestimated_share=counted.unestimated / counted.cycles,
        bytes=each * counted.bytes,
        flops=each * counted.flops,
        by_clock=target.clock / (units * each * counted.cycles),
        by_bandwidth=target.bandwidth / (units * each * counted.bytes),
        collectives=sorted(count.collectives(module)) if program.loops else [],
        unknown_loops=counted.unknown_loops,
        dearest=[(place, cycles / counted.cycles) for place, cycles in dearest],
    )
