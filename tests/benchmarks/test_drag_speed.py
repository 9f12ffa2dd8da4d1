"""The comparison on a small model: both sides drag alike, memory is measured, choices are checked."""

import dataclasses
import os

import numpy as np
import pytest
import torch

from dragspace_jax.benchmarks import memory
from dragspace_jax.benchmarks.baseline import transferred
from dragspace_jax.benchmarks.case import CASES, DEFAULT_CASES, Run, Sample, config_f, edits_of, random_model
from dragspace_jax.benchmarks.device_rates import Rates, measure
from dragspace_jax.benchmarks.drag_speed import BenchmarkError, Plan, compare, make_plan
from dragspace_jax.benchmarks.machine import cores
from dragspace_jax.benchmarks.rows import TABLES, pays_after
from dragspace_jax.benchmarks.sides import Side, sides
from dragspace_jax.benchmarks.torch_reference.transfer import our_generator
from dragspace_jax.networks.parameters import parameters

RATES = Rates(flops=1e11, bandwidth=1e10, matmul_side=1, dtype="float32")


@pytest.mark.parametrize("case", [*CASES.values()], ids=[*CASES])
def test_handles_lie_well_inside_and_targets_out_of_reach(case):
    points, targets = case.points_yx, case.targets_yx
    assert (points >= case.side / 4).all()
    assert (points < case.side * 3 / 4).all()
    assert (targets >= 0).all()
    assert (targets < case.side).all()
    assert (np.linalg.norm(targets - points, axis=1) >= case.side / 4).all()


def test_the_mask_leaves_a_quarter_of_the_image_around_the_handle():
    case = CASES["512-mask"]
    assert case.mask is not None
    y, x = case.points_yx[0].astype(int)
    assert case.mask[y, x] == 0
    assert case.mask[y, x + 128] == 0
    assert case.mask[y, x + 129] == 1
    assert set(np.unique(case.mask)) == {0, 1}


def test_weights_go_to_the_baseline_and_come_back(tiny_generator):
    baseline = transferred(Sample.of(tiny_generator), "cpu")
    back = parameters(our_generator(tiny_generator.config, baseline))
    for name, value in parameters(tiny_generator).items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


def test_random_models_have_every_parameter_at_its_scale():
    config = config_f(16, 1024)
    values = parameters(random_model(config))
    assert float(values["mapping.fc0.weight"].std()) == pytest.approx(1 / config.mapping_lr_multiplier, rel=0.05)
    assert float(values["synthesis.b8.conv0.affine.bias"].mean()) == pytest.approx(1, abs=0.1)
    assert float(values["synthesis.b8.conv1.weight"].std()) == pytest.approx(1, rel=0.05)
    assert float(values["mapping.w_avg"].std()) == pytest.approx(0.3, rel=0.2)
    assert all(np.count_nonzero(value) == value.size for value in values.values())


def test_both_sides_drag_alike(tiny_folder, tiny_config):
    known = edits_of(tiny_config)
    plan = Plan(
        cases=[known["one"], known["mask"]],
        sides=sides(["auto", "whole"], "cpu"),
        model=str(tiny_folder),
        iterations=3,
        with_memory=False,
    )
    rows = compare(plan, RATES)
    assert [(r.case, r.side) for r in rows] == [
        (case, side) for case in ("one", "mask") for side in ("baseline", "implementation", "implementation, whole")
    ]
    for r in rows:
        assert r.iterations == 3
        assert r.fastest_ms <= r.median_ms <= r.slowest_ms
        assert r.roofline_ms > 0
        assert r.compile_seconds >= 0
        assert r.first_mb is None
        if r.side == "baseline":
            assert r.speedup is None
            assert r.same_handles is None
        else:
            assert r.same_handles == 3
            assert r.latent_difference is not None
            assert r.latent_difference < 1e-4
    for table in TABLES:
        assert table.markdown([dataclasses.asdict(r) for r in rows]).count("\n") == len(rows) + 1


@pytest.mark.parametrize(("seconds", "ms", "expected"), [(3.0, 5.0, 58), (0.05, 5.0, 1), (3.0, 60.0, None)])
def test_compiling_has_paid_when_the_gained_time_exceeds_it(seconds, ms, expected):
    """The baseline: 0.1 s at the start, 55 ms an iteration."""
    nothing = np.zeros((1, 1, 2))

    def run(seconds, ms):
        times = np.array([ms])
        return Run(first_ms=0, compile_seconds=seconds, iteration_ms=times, handles_yx=nothing, latents=nothing)

    assert pays_after(run(seconds, ms), run(0.1, 55.0)) == expected


def test_windows_do_not_serve_a_mask(tiny_config):
    side = Side(name="implementation, window", engine="window")
    known = edits_of(tiny_config)
    assert side.fits(known["one"])
    assert not side.fits(known["mask"])


@pytest.mark.parametrize("side", sides(["auto"], "cpu"), ids=lambda side: side.name)
def test_memory_of_two_drags(tiny_folder, side):
    """Here in this process; in one of its own the plan for a GPU measures it (`tests/scripts/test_on_gpu.py`)."""
    task = {"case": "one", "side": dataclasses.asdict(side), "model": str(tiny_folder), "iterations": 1}
    use = memory.perform(task)
    assert use.loaded > 10_000_000
    assert use.first < 10_000_000_000
    assert use.again < 10_000_000_000


def test_a_failed_measuring_process_says_why(tiny_config):
    with pytest.raises(RuntimeError, match="unknown model 'absent'"):
        memory.measure(edits_of(tiny_config)["one"], Side(name="implementation"), "absent")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"cases": "one,five"}, "--cases 'five' is not known; there are one, four, mask"),
        ({"engines": "fast"}, "--engines 'fast' is not known; there are auto, whole, window"),
    ],
)
def test_unknown_choices_are_named(tiny_folder, choice, message):
    asked = {"model": str(tiny_folder), "cases": None, "engines": "auto", **choice}
    with pytest.raises(BenchmarkError, match=message):
        make_plan(**asked, iterations=1, torch=False, with_memory=False)


def test_without_a_model_published_sizes_are_planned():
    plan = make_plan(model=None, cases=None, engines="auto", iterations=1, torch=False, with_memory=False)
    assert [case.name for case in plan.cases] == list(DEFAULT_CASES)
    assert [side.name for side in plan.sides] == ["implementation"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot confine a process")
def test_cores_are_given_back():
    allowed, threads = os.sched_getaffinity(0), torch.get_num_threads()
    with cores(1) as count:
        assert count == 1
        assert len(os.sched_getaffinity(0)) == 1
        assert torch.get_num_threads() == 1
    assert os.sched_getaffinity(0) == allowed
    assert torch.get_num_threads() == threads


def test_rates_are_measured():
    rates = measure(side=64, read_bytes=1 << 20)
    assert dataclasses.asdict(rates)["matmul_side"] == 64
    assert rates.flops > 0
    assert rates.bandwidth > 0
