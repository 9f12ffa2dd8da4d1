"""Edits over workers: who gets what, what becomes of a dead worker's, and what comes back from a mirror.

The cluster is a double without processes; `python scripts/ray_faults.py` does the same with Ray and killed processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result

import dragspace_jax as ds
from dragspace_jax.batch import on_ray, ray_cluster
from dragspace_jax.batch.worker import Ended
from dragspace_jax.drag import BatchError, BatchStats, DragResult, Outcome
from dragspace_jax.stylegan2 import Generator, Latents
from tests.batch.edits import edit, records, write

Run = Callable[..., Result]


class FakeWorker:
    """Ends one edit a call, at once; a call whose number is in `dies` raises instead and forgets everything."""

    def __init__(self, ray: FakeRay) -> None:
        self._ray, self._held = ray, []
        self.exchange = SimpleNamespace(remote=self._exchange)

    def _exchange(self, edits: list[Any], *, last: bool) -> Any:
        self._ray.calls += 1
        self._held += edits
        if self._ray.calls in self._ray.dies:
            self._ray.lost += len(self._held)
            self._held = []
            return self._ray.exceptions.RayActorError("killed")
        request, _ = self._held.pop(0)
        targets = np.asarray(request.targets_yx)
        latents = Latents(ws=request.latents.ws + 1)
        result = DragResult(
            id=request.id, outcome=Outcome.REACHED, start=request.latents, latents=latents, handles_yx=targets,
            targets_yx=targets, steps=1,
        )  # fmt: skip
        ended = [Ended(result=result, images=np.zeros((1, 32, 32, 3), np.uint8))]
        return ended * self._ray.copies, BatchStats(lanes=2, busy=1, most_lanes=2, lane_steps=1)


class FakeRay:
    """As much of Ray as is used."""

    def __init__(self) -> None:
        self.calls = self.lost = 0
        self.copies, self.dies, self.needs = 1, set(), {}
        errors = {name: type(name, (Exception,), {}) for name in ("RayActorError", "RayTaskError")}
        unavailable = type("ActorUnavailableError", (errors["RayActorError"],), {})
        self.exceptions = SimpleNamespace(**errors, ActorUnavailableError=unavailable)

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 4.0}}]

    def put(self, value: Any) -> Any:
        return value

    def remote(self, **needs: Any) -> Any:
        self.needs = needs
        return lambda cls: SimpleNamespace(remote=lambda *args: FakeWorker(self))

    def wait(self, calls: list[Any], **options: Any) -> tuple[list[Any], list[Any]]:
        return calls[:1], calls[1:]

    def get(self, call: Any) -> Any:
        if isinstance(call, Exception):
            raise call
        return call

    def kill(self, actor: Any) -> None:
        pass


class Call:
    """What a fake call gives, told apart by identity as Ray's references are."""


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    double = FakeRay()
    exchanged = FakeWorker._exchange
    answers: dict[Call, Any] = {}

    def called(self: FakeWorker, edits: list[Any], *, last: bool) -> Call:
        call = Call()
        answers[call] = exchanged(self, edits, last=last)
        return call

    monkeypatch.setattr(FakeWorker, "_exchange", called)
    get = double.get
    monkeypatch.setattr(double, "get", lambda call: get(answers.pop(call)))
    found = SimpleNamespace(find_spec=lambda name: double)
    for module in (on_ray, ray_cluster):
        monkeypatch.setattr(module, "importlib", SimpleNamespace(import_module=lambda name: double, util=found))
    return double


def test_dead_workers_lose_and_double_nothing(dragspace: Run, tiny_folder: Path, tmp_path: Path, ray: FakeRay) -> None:
    ray.dies, ray.copies = {2, 5, 6, 20}, 2  # and every result comes twice
    edits = write(tmp_path / "edits.jsonl", "{", *(edit(id=str(n)) for n in range(30)))
    out = tmp_path / "out"
    command = ("batch", edits, "--model", tiny_folder, "--out", out, "--on", "ray", "--workers", 2, "--lanes", 3)
    done = dragspace(*command)
    assert done.exit_code == 0, done.output
    assert ray.lost > 4
    assert ray.needs == {"max_restarts": -1, "max_task_retries": 0, "num_cpus": 2}
    ended = {name for name, record in records(out).items() if record["outcome"] == "reached"}  # each id once
    assert ended == {str(n) for n in range(30)}
    assert len(list((out / "images").iterdir())) == 30
    assert json.loads((out / "summary.json").read_text())["this_run"]["workers"] == 2
    assert done.output.count("a worker died") == 4
    again = dragspace(*command, "--resume")
    assert again.exit_code == 0
    assert "0 in" in again.output


def test_workers_that_only_die_end_the_batch(dragspace: Run, tiny_folder: Path, tmp_path: Path, ray: FakeRay) -> None:
    ray.dies = set(range(5, 1000))
    edits = write(tmp_path / "edits.jsonl", *(edit(id=str(n)) for n in range(9)))
    ended = dragspace("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out", "--on", "ray")
    assert ended.exit_code == 2
    assert "dies again and again" in ended.output
    assert len(records(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", 2), "--workers goes with --on"),
        (("--on", "slurm"), "--on is 'slurm'; it must be ray"),
        (("--on", "ray", "--device", "gpu:0"), "--device is 'gpu:0'; on Ray"),
        (("--on", "ray", "--device", "gpu", "--workers", 3), "the cluster has room for 0"),
    ],
)
def test_what_does_not_fit_together(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, ray: FakeRay, options: tuple[Any, ...], message: str
) -> None:
    edits = write(tmp_path / "edits.jsonl", edit())
    refused = dragspace("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out", *options)
    assert refused.exit_code == 2
    assert message in refused.output


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "importlib", SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: None)))
    with pytest.raises(BatchError, match=r"dragspace-jax\[ray\]"):
        ray_cluster.cluster_of("ray", None, None)


def test_results_go_to_no_object_store(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    edits = write(tmp_path / "edits.jsonl", edit())
    for place in ("gs://bucket/out", "s3://bucket"):
        refused = dragspace("batch", edits, "--model", tiny_folder, "--out", place)
        assert refused.exit_code == 2
        assert "no append, rename or lock" in refused.output


@pytest.mark.usefixtures("instant")
def test_what_is_missing_comes_back_from_the_mirror(
    tiny_generator: Generator, tmp_path: Path, instant: SimpleNamespace
) -> None:
    edits = write(tmp_path / "edits.jsonl", *(edit(id=str(n)) for n in range(5)))
    out, mirror = tmp_path / "out", tmp_path / "mirror"
    instant.stop_after = 3
    with pytest.raises(ds.batch.BatchInterrupted):
        ds.batch.run(edits, tiny_generator, out, mirror=mirror)
    instant.stop_after = None
    instant.ran.clear()
    (first,) = mirror.iterdir()
    before = {path.relative_to(out): path.read_bytes() for path in out.glob("*/*")}
    # Another machine, with one edit's result already there.
    elsewhere = tmp_path / "elsewhere"
    with pytest.raises(ds.DragspaceError, match=r"shard-\w+-00001.tar already"):
        ds.batch.run(edits, tiny_generator, elsewhere, mirror=mirror)
    ds.batch.run(edits, tiny_generator, elsewhere, mirror=mirror, resume=True)
    assert sorted(request.id for request in instant.ran) == ["3", "4"]
    assert len(records(elsewhere)) == 5
    assert {path.relative_to(elsewhere): path.read_bytes() for path in elsewhere.glob("*/*")}.items() >= before.items()
    assert len(list(mirror.iterdir())) == 2
    # A damaged shard counts for nothing; what it held and the folder still has is copied anew.
    instant.ran.clear()
    first.write_bytes(first.read_bytes()[:700])
    ds.batch.run(edits, tiny_generator, elsewhere, mirror=mirror, resume=True)
    assert instant.ran == []
    assert len(list(mirror.iterdir())) == 3
    ds.batch.run(edits, tiny_generator, tmp_path / "third", mirror=mirror, resume=True)
    assert instant.ran == []
    with pytest.raises(ds.DragspaceError, match=r"mirror .* ended with another line, model or option"):
        ds.batch.run(edits, tiny_generator, tmp_path / "fourth", mirror=mirror, resume=True, psi=1.0)
    assert not (tmp_path / "fourth" / "results.jsonl").exists()
    ds.batch.run(edits, tiny_generator, elsewhere, mirror=mirror, overwrite=True)
    assert len(list(mirror.iterdir())) == 1
