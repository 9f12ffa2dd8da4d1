"""`dragspace bench` on the tiny model."""

import json

from dragspace_jax.benchmarks import machine
from dragspace_jax.cli import bench as bench_module

QUICK = ("--iterations", 2, "--no-memory", "--threads", 1)


def numbers(folder):
    return json.loads((folder / "bench.json").read_text())


def test_the_table_and_the_numbers(dragspace, tiny_folder, tmp_path):
    result = dragspace("bench", "--model", tiny_folder, "--cases", "one", "--out", tmp_path, *QUICK)
    assert result.exit_code == 0, result.output
    assert "speed-up" in result.output
    assert "compile s" in result.output
    assert "pays after" in result.output
    assert "× roofline" in result.output
    found = numbers(tmp_path)
    assert [row["side"] for row in found["rows"]] == ["baseline", "implementation"]
    assert found["rows"][1]["same_handles"] == 2
    assert "jax" in found["machine"]["versions"]
    assert found["rates"]["flops"] > 0


def test_without_torch_only_the_implementation_and_how_to_get_the_baseline(
    dragspace, tiny_folder, tmp_path, monkeypatch
):
    for module in (machine, bench_module):
        monkeypatch.setattr(module, "has_torch", lambda: False)
    result = dragspace("bench", "--model", tiny_folder, "--cases", "one", "--out", tmp_path, *QUICK)
    assert result.exit_code == 0, result.output
    assert "pip install 'dragspace-jax[torch]'" in result.output
    assert [row["side"] for row in numbers(tmp_path)["rows"]] == ["implementation"]


def test_a_wrong_choice_is_one_line(dragspace, tiny_folder, tmp_path):
    result = dragspace("bench", "--model", tiny_folder, "--cases", "two", "--out", tmp_path, *QUICK)
    assert result.exit_code == 2
    assert "--cases 'two' is not known; there are one, four, mask" in result.output
    assert result.output.count("\n") == 1


def test_help_has_examples(dragspace):
    assert "dragspace bench --model" in dragspace("bench", "--help").output
