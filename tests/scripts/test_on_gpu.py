"""The plan for a GPU: every program of it on a tiny model, what is done is not done again, steps that fail or hang."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import jax
import pytest
from click.testing import CliRunner, Result

from dragspace_jax.benchmarks import device_rates
from scripts import on_gpu
from scripts.gpu import running, tables
from scripts.gpu.steps import MINUTES, STEPS, Step

ROOT = Path(__file__).parent.parent.parent


def call(*arguments: object) -> Result:
    return CliRunner().invoke(on_gpu.main, [str(each) for each in arguments])


def result(**changes) -> running.Result:
    known = {"outcome": running.DONE, "seconds": 1.0, "command": ["python"], "said": "", "numbers": None}
    return running.Result(**{**known, **changes})


def test_steps_are_short_and_have_names_of_their_own():
    assert len({each.name for each in STEPS}) == len(STEPS)
    assert all(each.minutes < MINUTES for each in STEPS)


ALIKE = ("drag-sizes", "embedded", "tests")
"""Steps that run what another one does, with other words."""


@pytest.mark.parametrize("name", ALIKE)
def test_the_words_of_steps_alike_are_understood(name):
    (step,) = (each for each in STEPS if each.name == name)
    assert step.module in {each.module for each in STEPS if each.name not in ALIKE}
    for words in (step.words(None), step.words("critters-dog")):
        if step.is_test:
            assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
        else:
            importlib.import_module(step.module).main.make_context(step.module, words)


def test_the_plan_on_a_tiny_model(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    steps = [each for each in STEPS if each.name not in ALIKE]  # each in a process of its own, which imports JAX anew
    only = [word for each in steps for word in ("--only", each.name)]
    monkeypatch.setattr(device_rates, "REPEATS", 1)
    device_rates.measure.cache_clear()
    done = call("--dry-run", "--out", tmp_path, *only)
    device_rates.measure.cache_clear()
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [each.name for each in steps]
    assert {line["outcome"] for line in lines} == {running.DONE}
    numbers = {line["step"]: line["numbers"] for line in lines}
    assert [name for name, kept in numbers.items() if kept is None] == ["parity"]
    memory = numbers["memory"]["rows"]  # each in a process of its own
    assert [row["side"] for row in memory] == ["baseline", "implementation"]
    assert all(row["loaded_mb"] > 10 and 0 <= row["first_mb"] < 10_000 for row in memory)
    drift = [(row["drift_px"], row["drift_latents"]) for row in numbers["bfloat16"]["rows"]]
    assert drift[0] == (None, None)
    assert drift[1][1] > 0
    text = (tmp_path / "gpu.md").read_text()
    assert text.startswith("# On a GPU\n")
    assert "`auto` took 16 lanes" in text
    assert "jax " + jax.__version__ in text
    assert "tests collected" in text
    again = call("--dry-run", "--out", tmp_path, *only)
    assert again.exit_code == 0
    assert again.output.count("done before") == len(steps)


def test_without_a_gpu_it_says_what_to_do(tmp_path):
    refused = call("--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert "JAX sees no GPU here, only cpu" in refused.output
    assert "dragspace-jax[cuda13]" in refused.output
    assert "--dry-run" in refused.output
    assert not (tmp_path / "out").exists()


@pytest.fixture
def gpu(monkeypatch):
    """A machine that says it has one, and steps that do nothing."""
    machine = {"accelerated": True, "baseline_device": "cuda", "device": "gpu: a card", "platform": "PJRT cuda 13"}
    monkeypatch.setattr(on_gpu, "probe", lambda: machine)
    ran: list[str] = []

    def run(step: Step, folder: Path, *, seconds: float, environment: dict[str, str], tiny: str | None):
        assert environment["JAX_PLATFORMS"] == "cuda,cpu"
        assert seconds <= 60 * MINUTES
        assert tiny is None
        ran.append(step.name)
        return result(outcome=running.FAILED if ran.count("lanes") == 1 and step.name == "lanes" else running.DONE)

    monkeypatch.setattr(running, "run", run)
    return ran


def test_only_what_is_not_done_runs_again(gpu, tmp_path):
    places = ("--out", tmp_path, "--tables", tmp_path / "tables")
    first = call(*places, "--only", "lanes", "--only", "rates")
    assert first.exit_code == 1
    assert "some steps failed" in first.output
    assert gpu == ["rates", "lanes"]
    assert call(*places).exit_code == 0
    assert gpu[2:] == [each.name for each in STEPS if each.name != "rates"]
    assert (tmp_path / "tables" / "gpu.md").exists()
    listed = call("--list", *places)
    assert listed.output.count(running.DONE) == len(STEPS)


def test_no_step_begins_that_cannot_end_in_time(gpu, tmp_path):
    short = call("--minutes", 2, "--out", tmp_path, "--tables", tmp_path)
    assert short.exit_code == 0
    assert gpu == ["rates"]
    assert "left for the next call" in short.output


def test_a_state_that_is_none_is_refused(tmp_path):
    (tmp_path / "state.json").write_text("[1]")
    refused = call("--list", "--out", tmp_path)
    assert refused.exit_code == 1
    assert "does not hold the state of a run" in refused.output


def test_a_process_that_hangs_or_fails_is_told_apart(tmp_path):
    log = tmp_path / "log"
    sleeping = [sys.executable, "-c", "print('began', flush=True); import time; time.sleep(60)"]
    assert running._in_a_process(sleeping, log, 1.0, {}) is None
    asking = [sys.executable, "-c", "import os, sys; print(os.environ['TOLD']); sys.exit(3)"]
    assert running._in_a_process(asking, log, 20.0, {"TOLD": "a word"}) == 3
    assert log.read_text() == "a word\n"


def test_a_failed_step_keeps_what_it_said_and_what_it_had_written(tmp_path, monkeypatch):
    def process(command: list[str], log: Path, seconds: float, environment: dict[str, str]) -> int:
        log.write_text("a fault\n")
        Path(command[-1]).write_text('{"rows": []}')
        return 1

    monkeypatch.setattr(running, "_in_a_process", process)
    failed = running.run(STEPS[0], tmp_path, seconds=1, environment={})
    assert (failed.outcome, failed.said, failed.numbers) == (running.FAILED, "a fault", {"rows": []})


@pytest.mark.parametrize(("code", "outcome"), [(0, running.DONE), (1, running.DONE), (4, running.FAILED)])
def test_failing_tests_are_an_answer(code, outcome, tmp_path, monkeypatch):
    def process(command: list[str], log: Path, seconds: float, environment: dict[str, str]) -> int:
        log.write_text("F..\nFAILED tests/a.py::b - assert\n1 failed, 2 passed in 3.0s\n")
        return code

    monkeypatch.setattr(running, "_in_a_process", process)
    parity = next(each for each in STEPS if each.name == "parity")
    ran = running.run(parity, tmp_path, seconds=1, environment={})
    assert ran.outcome == outcome
    if outcome == running.DONE:
        assert ran.said == "FAILED tests/a.py::b - assert\n1 failed, 2 passed in 3.0s"


@pytest.mark.parametrize(("share", "word"), [(0.95, ": within"), (0.8, ": NOT within")])
def test_the_verdict_on_auto(share, word):
    rows = [{"dtype": "float32", "lanes": 1, "of_best": None}, {"dtype": "float32", "lanes": 64, "of_best": share}]
    verdicts = tables.verdicts(result(numbers={"rows": rows}))
    assert len(verdicts) == 1
    assert word in verdicts[0]
