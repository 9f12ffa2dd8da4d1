"""What TPU's compiler writes, counted: trips of loops, floors, places; its own programs where it is installed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dragspace_jax.benchmarks import tpu_compile
from dragspace_jax.benchmarks.case import Case
from dragspace_jax.benchmarks.tpu import cases, count, hlo, measured, targets
from dragspace_jax.stylegan2.config import GeneratorConfig

V5E = targets.TARGETS["v5e"]
MULTIPLY_ADDS = 8 * (3 * 6 - 2) ** 2 * 128 * 128  # of a 3×3 convolution of 6×6 positions, the padding left out


@pytest.fixture(scope="module")
def module() -> hlo.Module:
    """A loop of unknown length around a loop of three trips, in which is a convolution."""
    return hlo.read((Path(__file__).parent / "loop.hlo").read_text())


def test_a_program_is_read(module: hlo.Module) -> None:
    assert module.entry == "main.7"
    copy = module.of("main.7")["copy-start.1"]
    assert (copy.opcode, copy.operands, copy.cycles) == ("copy-start", ("w.1",), None)
    assert [(array.dtype, array.sides, array.near) for array in copy.arrays[:2]] == [
        ("bf16", (3, 3, 128, 128), True),
        ("bf16", (3, 3, 128, 128), False),
    ]
    assert copy.arrays[0].bytes == 2 * 9 * 128 * 128
    product = module.of("inner_body")["fusion.1"]
    assert product.cycles == 6000
    assert product.called == ("fused_computation.1",)
    assert module.place(product) == "backward stylegan2/convolution.py:100"
    assert module.place(module.of("outer_body")["fusion.2"]) == "/somewhere/else.py:7"
    with pytest.raises(ValueError, match="no ENTRY"):
        hlo.read("HloModule nothing")


def test_an_instruction_counts_once_a_trip_of_every_loop(module: hlo.Module) -> None:
    inner = module.of("outer_body")["while.1"]
    assert count.trips_of(module, inner) == 3
    assert count.trips_of(module, module.of("main.7")["while.2"]) is None
    once = count.iteration(module, V5E)
    assert once.flops == 3 * 2 * MULTIPLY_ADDS
    assert once.products == 3 * 6000
    row = 1024 * 4 / V5E.bandwidth * V5E.clock  # what the fusion reads of its operand, by bandwidth
    assert once.cycles == pytest.approx(3 * 6000 + 100 + row, abs=1.0)
    assert once.unestimated == pytest.approx(row, abs=1.0)
    assert once.unknown_loops == 0
    whole = count.whole(module, V5E)
    assert whole.unknown_loops == 1
    weight = 2 * 9 * 128 * 128 / V5E.bandwidth * V5E.clock
    assert whole.cycles == pytest.approx(once.cycles + weight, abs=1.0)


def test_nothing_is_cheaper_than_its_multiply_adds(module: hlo.Module) -> None:
    slow = dataclasses.replace(V5E, flops=V5E.clock)  # an operation a cycle
    assert count.iteration(module, slow).products == 3 * 2 * MULTIPLY_ADDS
    assert count.iteration(module, slow).floor == 3 * 2 * MULTIPLY_ADDS


def test_collectives_are_found(module: hlo.Module) -> None:
    assert count.collectives(module) == set()
    reduce = dataclasses.replace(module.of("inner_body")["add.1"], opcode="all-reduce-start")
    body = (*module.computations["inner_body"], reduce)
    waiting = dataclasses.replace(module, computations={**module.computations, "inner_body": body})
    assert count.collectives(waiting) == {"all-reduce"}


def test_without_the_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "is_installed", lambda: False)
    result = CliRunner().invoke(tpu_compile.main, ["--case", "drag"])
    assert result.exit_code == 1
    assert "pip install 'dragspace-jax[tpu]'" in result.output
    assert "of drag, least-change" in " ".join(CliRunner().invoke(tpu_compile.main, ["--help"]).output.lower().split())
    for wrong in (["--case", "drog"], ["--lanes", "0"], ["--dtype", "float16"]):
        assert CliRunner().invoke(tpu_compile.main, wrong).exit_code == 2


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """All cases with a generator of 8 px."""
    config = GeneratorConfig(resolution=8, channels=(8, 8), z_dim=8, w_dim=8, mapping_layers=1)
    for name, (make, _) in cases.PROGRAMS.items():
        monkeypatch.setitem(measured.PROGRAMS, name, (make, Case(name="small", title="small", config=config)))  # type: ignore[arg-type]


needs_compiler = pytest.mark.skipif(not targets.is_installed(), reason="TPU's compiler, libtpu, is not installed")


@needs_compiler
@pytest.mark.usefixtures("small")
def test_a_small_program_for_a_tpu(tmp_path: Path) -> None:
    arguments = ["--case", "generate", "--lanes", "2", "--json", "--hlo", str(tmp_path)]
    result = CliRunner().invoke(tpu_compile.main, arguments)
    assert result.exit_code == 0, result.output
    (row,) = (json.loads(line) for line in result.output.splitlines() if line.startswith("{"))
    assert row["cycles_per_edit_iteration"] > 0
    assert 0 < row["convolution_share"] < 1
    assert 2 * 8 * 8 * (16 + 16 + 64) < row["flops"] < 2 * 9 * 8 * 8 * (16 + 4 * 16 + 64 + 64)
    assert any(place.startswith("stylegan2/") for place, _ in row["dearest"])
    kept = hlo.read((tmp_path / "generate-v5e-bfloat16-2.hlo").read_text())
    assert count.whole(kept, V5E).cycles == pytest.approx(2 * row["cycles_per_edit_iteration"])


@needs_compiler
@pytest.mark.usefixtures("small")
def test_chips_run_their_lanes_without_waiting_for_each_other() -> None:
    row = measured.measure("drag", V5E, lanes=1, dtype="bfloat16", chips=4)
    assert row.chips == 4
    assert row.collectives == []
