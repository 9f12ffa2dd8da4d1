"""The counted work: the figures that the design states, and the count by hand of a tiny network."""

import pytest

from dragspace_jax.benchmarks import implementation
from dragspace_jax.benchmarks.case import CASES, config_f
from dragspace_jax.benchmarks.device_rates import Rates
from dragspace_jax.benchmarks.flops import (
    Convolution,
    convolutions,
    published_work,
    span_work,
    total,
    whole_spans,
)
from dragspace_jax.stylegan2.config import GeneratorConfig

LARGE = config_f(512)


def test_the_published_loop_at_512_px():
    work = published_work(LARGE, 128)
    assert total(work.forward) == pytest.approx(60e9, rel=0.02)
    assert total(work.backward) == pytest.approx(61e9, rel=0.02)


def test_whole_maps_up_to_the_feature_block():
    work = span_work(LARGE, whole_spans(LARGE, 128))
    assert total(work.forward) == pytest.approx(31e9, rel=0.03)
    assert total(work.backward) == total(work.forward)


@pytest.mark.parametrize(("case", "expected"), [("512-one", 1.33e9), ("512-four", 4.6e9)])
def test_windows_at_512_px(case, expected):
    """45 and about 13 times fewer than the published loop's."""
    assert total(implementation.work(CASES[case]).forward) == pytest.approx(expected, rel=0.1)


def test_a_mask_wants_the_whole_map():
    whole = whole_spans(LARGE, 128)
    assert implementation.spans(CASES["512-mask"]) == whole == implementation.spans(CASES["512-one"], "whole")
    assert implementation.work(CASES["512-mask"]) == span_work(LARGE, whole)


def test_small_blocks_run_whole_and_large_ones_in_windows():
    whole = {span.resolution: span for span in whole_spans(LARGE, 128)}
    found = {span.resolution: span for span in implementation.spans(CASES["512-four"])}
    assert found.keys() == whole.keys()
    assert found[4] == whole[4]
    assert found[128].conv1_outputs < whole[128].conv1_outputs / 4


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_a_small_network_by_hand(architecture):
    config = GeneratorConfig(resolution=8, channels=(5, 3), architecture=architecture)
    found = {c.name: c for c in convolutions(config, whole_spans(config, 8), image=True)}
    expected = {"b4.conv1": 16 * 9 * 25, "b8.conv0": 16 * 9 * 15, "b8.conv1": 64 * 9 * 9, "b8.torgb": 64 * 9}
    if architecture == "skip":
        expected["b4.torgb"] = 16 * 15
    if architecture == "resnet":
        expected["b8.skip"] = 16 * 15
    assert {name: c.multiply_adds for name, c in found.items()} == expected
    assert found["b8.conv0"].weight_bytes == 9 * 15 * 4


def test_the_roofline_takes_the_larger_of_work_and_reading():
    rates = Rates(flops=2e9, bandwidth=1e9, matmul_side=1, dtype="float32")
    busy = Convolution(name="busy", multiply_adds=5_000_000, weight_bytes=1_000_000)
    read = Convolution(name="read", multiply_adds=1_000_000, weight_bytes=3_000_000)
    assert rates.roofline_ms([busy, read]) == pytest.approx(5 + 3)
    assert rates.roofline_ms([busy, read], lanes=4) == pytest.approx(20 + 4)
    half = Rates(flops=2e9, bandwidth=1e9, matmul_side=1, dtype="bfloat16")
    assert half.roofline_ms([read]) == pytest.approx(1.5)
