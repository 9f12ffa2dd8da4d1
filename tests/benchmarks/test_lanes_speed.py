"""Lanes: what the rows say, when a series ends, the picture."""

import numpy as np
import pytest
from PIL import Image

from dragspace_jax.benchmarks import lanes_speed
from dragspace_jax.benchmarks.case import edits_of
from dragspace_jax.benchmarks.device_rates import Rates
from dragspace_jax.benchmarks.lanes_plot import plot_lanes
from dragspace_jax.benchmarks.our_lanes import SPARE_ROUNDS, WARMUP_ROUNDS, BatchRun, drag_batch
from dragspace_jax.drag import BatchError, LaneResult, Outcome

RATES = [Rates(flops=1e11, bandwidth=1e10, matmul_side=1, dtype=dtype) for dtype in lanes_speed.PRECISIONS]


def test_sizes_double():
    assert lanes_speed.sizes(1) == [1]
    assert lanes_speed.sizes(11) == [1, 2, 4, 8]


def test_edits_of_a_batch_run_all_their_iterations(tiny_generator, tiny_config):
    case = edits_of(tiny_config)["one"]
    run = drag_batch(tiny_generator, case, rounds=1, lanes=2, iterations=4, dtype="float32")
    assert (run.timed, run.steps) == (2, 8)
    assert sorted(run.results) == [str(i) for i in range(2 * (WARMUP_ROUNDS + 1 + SPARE_ROUNDS))]
    assert all(result.outcome == Outcome.STEP_LIMIT for result in run.results.values())
    assert run.seconds > 0


def _run(lanes, shift):
    results = {
        str(i): LaneResult(
            id=str(i),
            outcome=Outcome.STEP_LIMIT,
            reason=None,
            ws=np.full((2, 3), i + shift),
            handles_yx=np.array([[i, 3.0 + shift]]),
            targets_yx=np.array([[20.0, 20.0]]),
            steps=5,
            seconds=1.0,
        )
        for i in range(2 * lanes)
    }
    return BatchRun(seconds=0.1 * lanes, results=results, timed=2 * lanes, steps=10 * lanes)


def test_a_series_with_drift_and_without_room(tiny_generator, tiny_config, monkeypatch):
    def fake(model, case, *, rounds, lanes, iterations, dtype):
        if dtype == "bfloat16" and lanes == 4:
            raise BatchError("4 lanes do not fit in memory")
        return _run(lanes, 0.0 if dtype == "float32" else 0.5)

    monkeypatch.setattr(lanes_speed, "drag_batch", fake)
    case = edits_of(tiny_config)["one"]
    rows = list(lanes_speed.series(tiny_generator, case, most_lanes=4, iterations=5, rates=RATES, baseline=2.0))
    assert [(r.dtype, r.lanes) for r in rows] == [("float32", n) for n in (1, 2, 4)] + [("bfloat16", n) for n in (1, 2)]
    for r in rows:
        assert r.edits_per_second == pytest.approx(20)
        assert r.speedup == pytest.approx(10)
        assert r.share == pytest.approx(r.tflops * 10)
        assert (r.drift_px, r.drift_latents) == ((None, None) if r.dtype == "float32" else (0.5, 0.5))
    assert rows[0].against_one == 1
    assert lanes_speed.table(rows, "title").row_count == 5


def test_other_failures_are_not_hidden(tiny_generator, tiny_config, monkeypatch):
    def fake(*arguments, **settings):
        raise RuntimeError("a fault")

    monkeypatch.setattr(lanes_speed, "drag_batch", fake)
    case = edits_of(tiny_config)["one"]
    with pytest.raises(RuntimeError, match="a fault"):
        list(lanes_speed.series(tiny_generator, case, most_lanes=1, iterations=1, rates=RATES, baseline=None))


def test_the_plot_is_a_picture(tmp_path):
    series = {"float32": [(1, 2.0), (2, 3.5)], "bfloat16": [(1, 2.5), (2, 5.0)]}
    plot_lanes(tmp_path / "sub" / "lanes.png", series, 0.5, title="a title")
    with Image.open(tmp_path / "sub" / "lanes.png") as picture:
        assert picture.size == (1050, 675)
