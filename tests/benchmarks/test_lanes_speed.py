"""Lanes: what the rows say, when a series ends, the picture."""

import click
import numpy as np
import pytest
from PIL import Image

from dragspace_jax.benchmarks import lanes_speed
from dragspace_jax.benchmarks.case import edits_of
from dragspace_jax.benchmarks.device_rates import Rates
from dragspace_jax.benchmarks.lanes import WARMUP_ROUNDS, BatchRun, drag_batch
from dragspace_jax.benchmarks.lanes_plot import plot_lanes
from dragspace_jax.drag import BatchError

RATES = [Rates(flops=1e11, bandwidth=1e10, matmul_side=1, dtype=dtype) for dtype in ("float32", "bfloat16")]


def test_sizes_and_types_in_the_order_that_comparing_needs():
    assert lanes_speed.sizes("8, auto,1") == [1, 8, "auto"]
    assert lanes_speed.precisions("bfloat16,float32") == ["float32", "bfloat16"]
    for wrong in ("0", "1,two", ""):
        with pytest.raises(click.BadParameter, match="lanes"):
            lanes_speed.sizes(wrong)
    with pytest.raises(click.BadParameter, match="float16"):
        lanes_speed.precisions("float16")


def test_edits_of_a_batch_run_all_their_iterations(tiny_generator, tiny_config):
    case = edits_of(tiny_config)["one"]
    run = drag_batch(tiny_generator, case, rounds=1, lanes=2, iterations=4, dtype="float32")
    assert (run.lanes, run.timed, run.steps) == (2, 2, 8)
    assert sorted(run.ends) == [*range(2 * (WARMUP_ROUNDS + 1))]
    handles, ws = run.ends[0]
    assert handles.shape == (1, 2)
    assert ws.shape == (tiny_config.num_ws, tiny_config.w_dim)
    assert run.seconds > 0


def _run(lanes, shift):
    ends = {i: (np.array([[i, 3.0 + shift]]), np.full((2, 3), i + shift)) for i in range(2 * lanes)}
    return BatchRun(lanes=lanes, seconds=0.1 * lanes, timed=2 * lanes, steps=10 * lanes, ends=ends)


def test_a_series_with_drift_and_without_room(tiny_generator, tiny_config, monkeypatch):
    def fake(model, case, *, rounds, lanes, iterations, dtype):
        if dtype == "bfloat16" and lanes == 4:
            raise BatchError("4 lanes do not fit in memory")
        return _run(2 if lanes == "auto" else lanes, 0.0 if dtype == "float32" else 0.5)

    monkeypatch.setattr(lanes_speed, "drag_batch", fake)
    case = edits_of(tiny_config)["one"]
    rows = list(
        lanes_speed.series(tiny_generator, case, lanes=[1, 2, 4, "auto"], iterations=5, rates=RATES, baseline=2.0)
    )
    sizes = [("1", 1), ("2", 2), ("4", 4), ("auto", 2)]
    assert [(r.dtype, r.asked, r.lanes) for r in rows] == [
        *(("float32", *size) for size in sizes),
        *(("bfloat16", *size) for size in sizes[:2]),
    ]
    for r in rows:
        assert r.edits_per_second == pytest.approx(20)
        assert r.against_one == pytest.approx(1)
        assert r.of_best == (pytest.approx(1) if r.asked == "auto" else None)
        assert r.speedup == pytest.approx(10)
        assert r.share == pytest.approx(1000 * r.tflops)
        assert (r.drift_px, r.drift_latents) == ((None, None) if r.dtype == "float32" else (0.5, 0.5))


def test_other_failures_are_not_hidden(tiny_generator, tiny_config, monkeypatch):
    def fake(*arguments, **settings):
        raise RuntimeError("a fault")

    monkeypatch.setattr(lanes_speed, "drag_batch", fake)
    case = edits_of(tiny_config)["one"]
    with pytest.raises(RuntimeError, match="a fault"):
        list(lanes_speed.series(tiny_generator, case, lanes=[1], iterations=1, rates=RATES, baseline=None))


def test_the_plot_is_a_picture(tmp_path):
    series = {"float32": [(1, 2.0), (2, 3.5)], "bfloat16": [(1, 2.5), (2, 5.0)]}
    plot_lanes(tmp_path / "sub" / "lanes.png", series, 0.5, title="a title")
    with Image.open(tmp_path / "sub" / "lanes.png") as picture:
        assert picture.size == (1050, 675)
