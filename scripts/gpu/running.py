"""Running one step: in a process of its own that is ended in time, or, on a tiny model, in this one."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .steps import Step

DONE, FAILED, OUT_OF_TIME = "done", "failed", "out of time"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """How a step ended.

    Attributes:
      outcome: `done`, `failed` or `out of time`; tests that fail are an answer, and so `done`.
      seconds: how long it took.
      command: that ran.
      said: the end of what it said: of tests their failures and their summary.
      numbers: what the benchmark wrote, maybe not all of it if the step is not done; None: nothing, or tests.
    """

    outcome: str
    seconds: float
    command: list[str]
    said: str
    numbers: dict[str, Any] | None


def run(step: Step, folder: Path, *, seconds: float, environment: Mapping[str, str], tiny: str | None = None) -> Result:
    """Run a step.

    Args:
      folder: for its log and its numbers.
      seconds: after which it is ended.
      environment: what the process gets beside this one's.
      tiny: a model folder for a dry run.
    """
    out, log = folder / f"{step.name}.json", folder / f"{step.name}.log"
    out.unlink(missing_ok=True)
    words = step.words(tiny) if step.is_test else [*step.words(tiny), "--out", str(out)]
    began = time.perf_counter()
    if tiny is None or step.is_test:
        code = _in_a_process([sys.executable, "-m", step.module, *words], log, seconds, environment)
    else:
        code = _here(step.module, words, log)
    said = log.read_text(errors="replace").strip().splitlines()
    # pytest: 0 all passed, 1 some failed; everything else says that it did not come to an answer.
    done = code in (0, 1) if step.is_test else code == 0
    return Result(
        outcome=OUT_OF_TIME if code is None else DONE if done else FAILED,
        seconds=round(time.perf_counter() - began, 1),
        command=["python", "-m", step.module, *words],
        said="\n".join(_answer(said) if step.is_test and done else said[-20:]),
        numbers=json.loads(out.read_text()) if out.exists() else None,
    )


def _answer(said: list[str]) -> list[str]:
    """Of pytest's output: the failures, and the last line, which counts."""
    return [*(line for line in said if line.startswith(("FAILED", "ERROR"))), *said[-1:]]


def _in_a_process(command: list[str], log: Path, seconds: float, environment: Mapping[str, str]) -> int | None:
    """The exit code; None: it was ended, with all that it had started."""
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            stdout=written,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):  # nothing of it shall outlive it, whatever ends the wait
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _here(module: str, words: list[str], log: Path) -> int:
    """A benchmark in this process, which has imported and compiled already what others need too."""
    with log.open("w") as written, contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        importlib.import_module(module).main(words, standalone_mode=False)
    return 0
