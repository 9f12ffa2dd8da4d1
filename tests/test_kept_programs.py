"""Programs that are kept between runs as they were lowered."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax import kept_programs, lowered_files
from dragspace_jax.kept_programs import KeptJit
from dragspace_jax.loading_ahead import loading_ahead
from dragspace_jax.stylegan2 import Latents

X = np.arange(3, dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path, programs_kept: None) -> Iterator[Path]:
    """Where programs are kept; the compilation cache is there."""
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path / "lowered"
    jax.config.update("jax_compilation_cache_dir", before)


class Traced:
    """A function of latents that knows how often it was traced; each of its own is a start of its own."""

    def __init__(self, name: str | None = "scaled 2", factor: float = 2.0) -> None:
        self.times = 0
        self.factor = factor
        self.program = KeptJit(self, name=name, results=lambda latents, x: {"ws": x, "x": x})

    def __call__(self, latents: Any, x: jax.Array) -> dict[str, jax.Array]:
        self.times += 1
        return {"ws": latents.ws * self.factor, "x": x + 1.0}

    def run(self, ws: np.ndarray = X, x: np.ndarray = X) -> int:
        """Runs the program, and tells how often the function has been traced."""
        found = self.program(Latents(ws=ws), x)
        np.testing.assert_array_equal(found["ws"], ws * 2)
        np.testing.assert_array_equal(found["x"], x + 1)
        return self.times


def test_the_next_start_traces_nothing(folder: Path) -> None:
    first = Traced()
    assert [first.run(), first.run(X + 5)] == [1, 1]
    assert Traced().run() == 0
    assert [path.name.split("-")[0] for path in folder.iterdir()] == ["scaled"]


def test_a_program_for_shapes_runs_on_arrays(folder: Path) -> None:
    for times in (1, 0):
        traced = Traced()
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (Latents(ws=X), X))
        run, compiled = traced.program.compiled(*shapes)
        np.testing.assert_array_equal(run(Latents(ws=X), X)["ws"], X * 2)
        assert compiled.memory_analysis() is not None
        assert traced.times == times
    assert len(list(folder.iterdir())) == 1


def test_what_a_task_used_the_last_time_is_loaded_ahead(folder: Path) -> None:
    def run() -> list[str]:
        """The task in a start of its own: which programs were compiled or loaded in its own thread."""
        here: list[str] = []

        def listen(event: str, duration_secs: float, **_: Any) -> None:
            if "backend_compile" in event and threading.current_thread() is threading.main_thread():
                here.append(event)

        then = threading.Event()
        jax.monitoring.register_event_duration_secs_listener(listen)
        try:
            with loading_ahead("scale", then.set):
                assert then.wait(60)
                traced = Traced()
                shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (Latents(ws=X), X))
                function, compiled = traced.program.compiled(*shapes)
                np.testing.assert_array_equal(function(Latents(ws=X), X)["ws"], X * 2)
                assert compiled.memory_analysis() is not None
                traced.run(X + 5)
                return here
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)

    noted = folder / "scale.json"
    assert run()
    assert json.loads(noted.read_text()) == [[next(folder.glob("scaled-*")).name, []]]
    assert not run()
    for damaged in (
        "",
        "[[1, 2]]",
        '[["../scale.json", []]]',
        '[["scaled-gone", []]]',
        '{"a": 1}',
        '[["a", [1e999]]]',
        "[" * 99_999,
    ):
        noted.write_text(damaged)
        assert run()
        assert not run(), damaged


def test_a_program_loaded_ahead_gives_its_arguments_away(folder: Path) -> None:
    for _ in range(2):
        with loading_ahead("sum", lambda: None):
            program = KeptJit(lambda x, y: x + y, name="sum", results=lambda x, y: x, donate_argnums=(1,))
            x, y = jnp.asarray(X), jnp.asarray(X)
            np.testing.assert_array_equal(program(x, y), X * 2)
            assert y.is_deleted()
            assert not x.is_deleted()


def test_whatever_decides_a_program_tells_it_from_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Traced()
    first.run()
    assert Traced("scaled 3").run() == 1
    assert Traced().run(np.arange(4, dtype=np.float32)) == 1
    with jax.default_matmul_precision("highest"):
        assert first.run() == 2
    before = jax.config.values["jax_persistent_cache_min_compile_time_secs"]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before + 1.0)
    assert first.run() == 2, "what is kept of programs changes none"
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before)
    monkeypatch.setattr(kept_programs, "_own_code", lambda: "another")
    assert Traced().run() == 1
    assert len(list(folder.iterdir())) == 5


def test_a_damaged_program_is_written_again(folder: Path) -> None:
    Traced().run()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
        path.write_bytes(damaged)
        assert Traced().run() == 1
        assert Traced().run() == 0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Foreign:
    """A class whose code may change without the package's."""

    ws: Any


def test_what_is_foreign_or_nameless_is_not_kept(folder: Path) -> None:
    for _ in range(2):
        traced = Traced()
        np.testing.assert_array_equal(traced.program(Foreign(ws=X), X)["ws"], X * 2)
        assert traced.times == 1
        assert Traced(None).run() == 1
    assert not folder.exists()


def test_nothing_is_kept_without_a_cache_or_without_room(folder: Path) -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        assert Traced().run() == 1
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert not folder.exists()
    folder.write_bytes(b"")  # a file where the folder should be
    assert [Traced().run(), Traced().run()] == [1, 1]


def test_old_programs_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowered_files, "MOST", 2)
    for size in (1, 2, 3):
        Traced().run(np.zeros(size, np.float32))
    assert len(list(folder.iterdir())) == 2
    assert Traced().run(np.zeros(3, np.float32)) == 0


def test_donated_arguments_are_given_away(folder: Path) -> None:
    program = KeptJit(lambda x, y: x + y, name="sum", results=lambda x, y: x, donate_argnums=(1,))
    x, y = jnp.asarray(X), jnp.asarray(X)
    np.testing.assert_array_equal(program(x, y), X * 2)
    assert y.is_deleted()
    assert not x.is_deleted()
    assert folder.exists()
