"""A drag's folder: whole or not there, whatever fails; its pictures from one program."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax import results
from dragspace_jax.drag import DragResult, DragSettings, EditRequest, Outcome, make_edit
from dragspace_jax.drag.result import Trace
from dragspace_jax.errors import DragspaceError
from dragspace_jax.folders import FolderError
from dragspace_jax.networks import rendering
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.results import latents_are_whole, render_each, save_drag, write_latents
from dragspace_jax.spaces import WPlus
from dragspace_jax.spaces.layers import LayerBase
from dragspace_jax.stylegan2 import Generator, Latents
from tests.batch.faults import Disk, full_from

STEPS = 5


@pytest.fixture
def dragged(tiny_generator: Generator) -> DragResult:
    random = np.random.RandomState(0)
    edit = make_edit(
        tiny_generator,
        EditRequest(
            latents=random.randn(8, 16).astype(np.float32), handles_yx=[[3, 4]], targets_yx=[[5, 6]], space=WPlus()
        ),
    )
    start = edit.latents
    coordinates = random.randn(STEPS, 6 * 16).astype(np.float32)
    base = LayerBase(latents=jax.tree.map(jnp.asarray, start), residual=jnp.zeros((6, 16), jnp.float32), styles={})
    handles = random.rand(STEPS, 1, 2).astype(np.float32) * 31
    return DragResult(
        id="",
        outcome=Outcome.REACHED,
        edit=edit,
        model=tiny_generator,
        start=start,
        latents=jax.tree.map(np.asarray, WPlus().decode(jnp.asarray(coordinates[-1]), base)),
        handles_yx=handles[-1],
        targets_yx=edit.targets_yx,
        steps=STEPS,
        trace=Trace(handles_yx=handles, loss=np.arange(STEPS, dtype=np.float32), coordinates=coordinates, base=base),
    )


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Gray pictures that take no time; `shapes` of what was rendered."""
    control = SimpleNamespace(shapes=[])

    def render(model: Generator, latents: Latents, first: np.ndarray) -> jax.Array:
        ws = latents.ws
        control.shapes.append(ws.shape)
        return jnp.broadcast_to(ws.mean((1, 2))[:, None, None, None], (len(ws), 32, 32, 3))

    monkeypatch.setattr(rendering, "_renderer", lambda noise, dtype: render)
    return control


def test_any_number_of_images_is_rendered_by_one_program(tiny_generator: Generator, rendered: SimpleNamespace) -> None:
    for count in (1, 3, 4, 9):
        ws = np.random.RandomState(0).randn(count, 8, 16).astype(np.float32)
        images = list(render_each(tiny_generator, Latents(ws=ws), DragSettings()))
        assert [image.shape for image in images] == [(32, 32, 3)] * count
    assert set(rendered.shapes) == {(4, 8, 16)}
    assert len(rendered.shapes) == 1 + 1 + 1 + 3


@pytest.mark.parametrize(("pictures", "each"), [("none", 1), ("all", 9)])
def test_a_disk_that_is_full_at_any_moment(
    tiny_generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dragged: DragResult,
    rendered: SimpleNamespace, pictures: results.Pictures, each: int,
) -> None:  # fmt: skip
    out = tmp_path / "out"

    def save() -> None:
        save_drag(out, dragged, pictures=pictures, overwrite=True)

    with monkeypatch.context() as patch:
        disk = Disk(out, patch, lambda _: None)
        save()
    whole = {path.name for path in out.iterdir()}
    assert whole == ({"trace.npz", "latents.npz", "result.json"} if pictures == "none" else set(results.FILES))
    for number in range(0, disk.operations - 1, each):  # the last one flushes the last file's name
        with monkeypatch.context() as patch:
            Disk(out, patch, full_from(number))
            with pytest.raises(OSError, match=str(out)) as caught:
                save()
        assert caught.value.errno == errno.ENOSPC
        left = {path.name for path in out.iterdir()}
        assert left < whole, number
        assert "result.json" not in left
        if "latents.npz" in left:
            assert latents_are_whole(out / "latents.npz", fingerprint(tiny_generator))
    save()
    record = json.loads((out / "result.json").read_text())
    assert record["space"] == {"name": "w+", "layers": 6}
    assert record["fingerprint"] == fingerprint(tiny_generator)


def test_an_earlier_drag_is_not_overwritten_unasked(
    tiny_generator: Generator, tmp_path: Path, dragged: DragResult, rendered: SimpleNamespace
) -> None:
    (tmp_path / "drag.gif").write_text("of an earlier drag")
    with pytest.raises(DragspaceError, match=r"drag\.gif is there already: `overwrite` replaces it"):
        save_drag(tmp_path, dragged)
    assert [path.name for path in tmp_path.iterdir()] == ["drag.gif"]


def test_latents_that_were_cut_are_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "latents.npz"
    write_latents(path, Latents(ws=np.ones((8, 16))), Latents(ws=np.zeros((8, 16))), "model")
    assert latents_are_whole(path, "model")
    assert not latents_are_whole(path, "another")
    assert not latents_are_whole(tmp_path / "none.npz", "model")
    whole = path.read_bytes()
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        assert not latents_are_whole(path, "model"), length
    np.savez(path, ws=np.zeros(3))
    assert not latents_are_whole(path, "model")


def test_a_result_shows_and_saves_itself(dragged: DragResult, tmp_path: Path) -> None:
    assert dragged.image().shape == (32, 32, 3)
    dragged.save(tmp_path / "drag", pictures="none")
    assert (tmp_path / "drag" / "result.json").is_file()
    with pytest.raises(FolderError):
        dragged.save(tmp_path / "drag", pictures="none")
    invalid = DragResult(id="x", outcome=Outcome.INVALID, reason="no such point")
    assert repr(invalid) == "<DragResult 'x': invalid, no such point>"
    for method in (invalid.image, lambda: invalid.save(tmp_path)):
        with pytest.raises(ValueError, match="no such point"):
            method()
