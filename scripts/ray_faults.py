"""Edits over a local Ray cluster: whose workers are killed at random, whose driver is killed, and how it scales.

    python scripts/ray_faults.py --out out/ray            # all of it: some minutes on 2 cores
    python scripts/ray_faults.py --out out/ray --edits 40 --kills 2

Needs `pip install 'dragspace-jax[ray]'` and Linux. Prints one JSON object a part, and fails if an edit is lost, stands
twice, or comes out otherwise than on one machine beyond what rounding explains.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

import dragspace_jax as ds
from dragspace_jax.batch import BatchState

MODEL = "critters-dog"
OPTIONS: dict[str, Any] = {"recipe": "published", "psi": 1.0, "steps": 20, "pictures": "none", "lanes": 4}
_COMMAND = [f"--{key}={value}" for key, value in OPTIONS.items()]


def write_edits(path: Path, count: int) -> Path:
    """A file of edits of so many seeds, each with a handle that moves 4 to 10 px."""
    chance = np.random.RandomState(0)
    lines = []
    for seed in range(count):
        x, y = chance.randint(40, 88, 2)
        angle, length = chance.uniform(0, 2 * np.pi), chance.uniform(4, 10)
        target = [round(x + length * np.cos(angle)), round(y + length * np.sin(angle))]
        lines.append({"id": f"e{seed}", "seed": seed, "handles": [[int(x), int(y)]], "targets": [target]})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def records(out: Path) -> dict[str, dict[str, Any]]:
    """The results by id. Raises AssertionError if one stands twice."""
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    twice = [name for name, number in Counter(line["id"] for line in lines).items() if number > 1]
    assert not twice, f"{twice} stand twice"
    return {line["id"]: line for line in lines}


def workers() -> Iterator[int]:
    """Processes of workers below this one."""
    parents, ours = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        if title.startswith(b"ray::Worker"):
            ours.append(int(folder.name))
    for process in ours:
        above: int | None = process
        while above is not None and above != os.getpid():
            above = parents.get(above)
        if above is not None:
            yield process


def processor_time(process: int) -> float:
    """Seconds that a process has had, all its threads together."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def killed(edits: Path, out: Path, count: int, kills: int) -> dict[str, Any]:
    """Two workers, one of which is killed at so many random moments."""
    chance = random.Random(1)
    moments = sorted(chance.sample(range(4, count - 4), kills))
    dead = 0

    def on_progress(state: BatchState) -> None:
        nonlocal dead
        if dead < kills and state.settled >= moments[dead] and (alive := sorted(workers())):
            os.kill(chance.choice(alive), signal.SIGKILL)
            dead += 1

    began = time.perf_counter()
    ds.batch.run(edits, MODEL, out, on="ray", workers=2, overwrite=True, on_progress=on_progress, **OPTIONS)
    return {"kills": dead, "seconds": round(time.perf_counter() - began, 1)}


def compared(one: Path, other: Path) -> dict[str, Any]:
    """Results of one machine against those of workers."""
    expected, found = records(one), records(other)
    assert expected.keys() == found.keys(), f"lost: {sorted(expected.keys() - found.keys())}"
    differences = []
    for name, record in expected.items():
        with np.load(one / record["latents"]) as a, np.load(other / found[name]["latents"]) as b:
            differences.append(float(np.abs(a["ws"] - b["ws"]).max()))
    same = sum(record["outcome"] == found[name]["outcome"] for name, record in expected.items())
    result = {
        "edits": len(expected),
        "same_outcome": same,
        "same_steps": sum(record["steps"] == found[name]["steps"] for name, record in expected.items()),
        "difference_of_ws": {
            "median": float(f"{statistics.median(differences):.2g}"),
            "p95": float(f"{np.quantile(differences, 0.95):.2g}"),
            "largest": float(f"{max(differences):.2g}"),
        },
    }
    assert statistics.median(differences) < 1e-3, result
    return result


def driver_killed(edits: Path, out: Path, count: int) -> dict[str, Any]:
    """The driver is killed once a third has finished, then resumed."""
    command = [
        sys.executable, "-m", "dragspace_jax.cli", "batch", str(edits), "--model", MODEL, "--out", str(out),
        "--on", "ray", "--workers", "2", *_COMMAND,
    ]  # fmt: skip
    process = subprocess.Popen([*command, "--overwrite"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    path = out / "results.jsonl"
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < count // 3):
        time.sleep(0.05)
    process.kill()
    process.wait()
    kept = path.read_bytes().count(b"\n")
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = json.loads((out / "summary.json").read_text())["this_run"]["edits"]
    return {"finished_before": kept, "run_after": run, "edits": len(records(out))}


def scaling(edits: Path, out: Path, count: int) -> dict[str, Any]:
    """Edits a second of one and of two workers of one core each, between the first fifth and the last.

    Beside other programs that says little; edits a second of the workers' own processor time say what is lost between
    them whatever else runs.
    """
    ray, rates, own = importlib.import_module("ray"), {}, {}
    for number in (1, 2):
        times: list[float] = []
        used: list[float] = []

        def on_progress(state: BatchState, times: list[float] = times, used: list[float] = used) -> None:
            times.append(time.perf_counter())
            used.append(sum(map(processor_time, workers())))

        # Ray hands out as many cores as it is told of, and a worker keeps to its own.
        ray.init(num_cpus=number, include_dashboard=False, log_to_driver=False, logging_level="error")
        ds.batch.run(
            edits, MODEL, out, on="ray", workers=number, overwrite=True, **OPTIONS,
            on_progress=on_progress,
        )  # fmt: skip
        ray.shutdown()
        first, last = count // 5, count - count // 5
        rates[number] = (last - first) / (times[last] - times[first])
        own[number] = (last - first) / (used[last] - used[first])
    return {
        "edits_per_second": {number: round(rate, 3) for number, rate in rates.items()},
        "two_over_one": round(rates[2] / rates[1], 3),
        "edits_per_processor_second": {number: round(rate, 3) for number, rate in own.items()},
        "load_average": round(os.getloadavg()[0], 1),
    }


@click.command()
@click.option("--edits", "count", default=300, show_default=True)
@click.option("--kills", default=10, show_default=True)
@click.option("--parts", default="killed,driver,scaling", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(count: int, kills: int, parts: str, out: Path) -> None:
    """Run the parts, one after the other."""
    ds.enable_compilation_cache()
    out.mkdir(parents=True, exist_ok=True)
    edits = write_edits(out / "edits.jsonl", count)

    def tell(part: str, result: dict[str, Any]) -> None:
        click.echo(json.dumps({"part": part, **result}))

    if "killed" in parts:
        tell("killed", killed(edits, out / "killed", count, kills))
        began = time.perf_counter()
        ds.batch.run(edits, MODEL, out / "alone", overwrite=True, **OPTIONS)
        tell("alone", {"seconds": round(time.perf_counter() - began, 1)})
        tell("compared", compared(out / "alone", out / "killed"))
    if "driver" in parts:
        fewer = write_edits(out / "fewer.jsonl", count // 3)
        tell("driver", driver_killed(fewer, out / "driver", count // 3))
    if "scaling" in parts:
        some = write_edits(out / "some.jsonl", count // 3)
        tell("scaling", scaling(some, out / "scaling", count // 3))


if __name__ == "__main__":
    main()
