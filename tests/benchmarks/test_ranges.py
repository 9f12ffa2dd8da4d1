"""Several runs of a benchmark: figures become ranges, rows are told apart by their words."""

import json

import click
import pytest
from click.testing import CliRunner

from dragspace_jax.benchmarks import ranges, report
from dragspace_jax.benchmarks.report import Column, Table

TABLE = Table(
    "times",
    [
        Column("side", ["side"]),
        Column("ms", ["ms"], "{:.1f}"),
        Column("both", ["ms", "speedup"], "{:.1f} and {:.1f}"),
        Column("speed-up", ["speedup"], "{:.0f}×"),
    ],
)


def rows(ms, speedup):
    return [{"side": "baseline", "ms": 10.0, "speedup": None}, {"side": "implementation", "ms": ms, "speedup": speedup}]


def test_a_table_in_markdown_leaves_what_is_missing_empty():
    assert TABLE.markdown(rows(1.0, 10.0)).splitlines()[2:] == [
        "| baseline | 10.0 |  |  |",
        "| implementation | 1.0 | 1.0 and 10.0 | 10× |",
    ]
    assert TABLE.rich(rows(1.0, 10.0)).row_count == 2


def test_figures_become_ranges(tmp_path, monkeypatch):
    runs = iter([rows(1.0, 10.0), rows(2.0, 5.0), rows(1.5, 6.7)])

    def run(name, arguments, out):
        assert (name, arguments) == ("drag_speed", ("--cases", "512-one"))
        report.write(out, {"device": "a card"}, [TABLE], next(runs))
        return json.loads(out.read_text())

    monkeypatch.setattr(ranges, "run", run)
    out = tmp_path / "ranges.json"
    done = CliRunner().invoke(ranges.main, ["--out", str(out), "drag_speed", "--cases", "512-one"])
    assert done.exit_code == 0, done.output
    assert "| implementation | 1.0–2.0 | 5×–10× |" in done.output
    assert "| baseline | 10.0 |  |" in done.output
    assert "least–greatest of 3 runs, a card" in done.output
    assert len(json.loads(out.read_text())["runs"]) == 3


def test_a_row_that_only_some_runs_have_is_a_range_over_those():
    _, found = ranges.ranged([TABLE], [rows(1.0, 10.0), rows(2.0, 5.0)[:1]])
    assert found[1]["ms"] == "1.0"


def test_a_run_that_fails_says_why(tmp_path):
    with pytest.raises(click.ClickException, match="no_such failed:"):
        ranges.run("no_such", [], tmp_path / "out.json")
