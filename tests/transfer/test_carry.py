"""Latents carried by a map: the same arithmetic as edits repeated by `align`, layers, ids, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from dragspace_jax.analysis.align import Alignment, PCABasis
from dragspace_jax.inputs import InputError
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.results import write_latents
from dragspace_jax.stylegan2 import Latents
from dragspace_jax.transfer import TransferError, carry
from dragspace_jax.transfer.carry import carry_latents
from dragspace_jax.transfer.intake import read_finished

LAYERS, WIDTH = 8, 16


@pytest.fixture
def alignment() -> Alignment:
    """A map between random coordinates, from W of 16 to W of 12; no models are known."""
    random = np.random.default_rng(0)

    def basis(width: int, count: int) -> PCABasis:
        components = np.linalg.qr(random.standard_normal((width, count)))[0].T
        return PCABasis(mean=random.standard_normal(width), components=components, variance=np.ones(count))

    matrix, offset = random.standard_normal((5, 4)), random.standard_normal(4)
    return Alignment(
        method="affine", source=basis(WIDTH, 5), target=basis(12, 4), matrix=matrix, offset=offset,
        correlations=np.zeros(0),
    )  # fmt: skip


def drag(path: Path, *, model: str = "one", layers: int = 3, seed: int = 0, offsets: bool = False) -> Latents:
    """Write the latents of a drag that moved so many layers; gives those after it."""
    random = np.random.default_rng(seed)
    start = np.repeat(random.standard_normal((1, WIDTH)).astype(np.float32), LAYERS, axis=0)
    ws = start.copy()
    ws[:layers] += random.standard_normal((layers, WIDTH)).astype(np.float32)
    styles = {"b4.conv1": np.zeros(4, np.float32)} if offsets else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_latents(path, Latents(ws=ws, offsets=styles), Latents(ws=start, offsets=styles), model)
    return Latents(ws=ws)


@pytest.mark.parametrize("layers", [5, 8, 10])
def test_the_start_is_mapped_and_the_displacement_added(alignment, tmp_path, layers):
    drag(tmp_path / "a.npz")
    finished = read_finished([tmp_path / "a.npz"], alignment)
    start, ws = carry_latents(alignment, finished, layers)
    assert start.shape == ws.shape == (1, layers, 12)
    np.testing.assert_allclose(start[0], np.repeat(alignment.apply(finished[0].start[:1]), layers, 0), atol=1e-5)
    moved = alignment.displacement(finished[0].ws - finished[0].start)
    np.testing.assert_allclose((ws - start)[0, :3], moved[:3], atol=1e-5)
    assert not (ws - start)[0, 3:].any()


def test_an_edit_of_layers_that_the_target_has_not_is_refused(alignment, tmp_path):
    drag(tmp_path / "a.npz", layers=7)
    with pytest.raises(TransferError, match="moved more layers than the target's 6") as caught:
        carry_latents(alignment, read_finished([tmp_path / "a.npz"], alignment), 6)
    assert caught.value.field == "results"


def test_folders_and_files_are_read_and_each_image_has_its_own_name(alignment, tmp_path):
    drag(tmp_path / "ear" / "latents.npz")
    (tmp_path / "ear" / "result.json").write_text(json.dumps({"outcome": "reached", "model": "m"}))
    batch = tmp_path / "batch"
    drag(batch / "latents" / "Ear.npz")
    lines = [
        {"id": "Ear", "outcome": "step limit", "latents": "latents/Ear.npz", "handles_xy": [[1, 2]]},
        {"id": "bad", "outcome": "invalid", "reason": "none"},
    ]
    (batch / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    np.save(tmp_path / "two of.npy", np.ones((2, LAYERS, WIDTH), np.float32))
    finished = read_finished([tmp_path / "ear", batch, tmp_path / "two of.npy"], alignment)
    assert [each.id for each in finished] == ["ear", "Ear-2", "two_of-0000", "two_of-0001"]
    assert [each.edited for each in finished] == [True, True, False, False]
    assert [each.model_name for each in finished] == ["m", "", "", ""]


def test_what_a_map_cannot_carry_is_refused(alignment, tmp_path):
    path = tmp_path / "a.npz"
    drag(path, offsets=True)
    with pytest.raises(TransferError, match="offsets of styles, which no map carries"):
        read_finished([path], alignment)
    drag(path)
    other = dataclasses.replace(alignment, source=dataclasses.replace(alignment.source, model="two"))
    with pytest.raises(TransferError, match="another model than the map's source, one by its fingerprint"):
        read_finished([path], other)
    np.save(tmp_path / "narrow.npy", np.ones((LAYERS, 12), np.float32))
    with pytest.raises(InputError, match=r"takes \[L, 16\] or \[n, L, 16\]"):
        read_finished([tmp_path / "narrow.npy"], alignment)
    np.save(tmp_path / "few.npy", np.ones((4, WIDTH), np.float32))
    with pytest.raises(TransferError, match="different numbers of layers"):
        read_finished([path, tmp_path / "few.npy"], alignment)
    (tmp_path / "results.jsonl").write_text("")
    with pytest.raises(TransferError, match="none of its edits has latents"):
        read_finished([tmp_path], alignment)


def test_models_are_those_of_the_map(alignment, tiny_generator, tmp_path):
    path = tmp_path / "a.npz"
    own = fingerprint(tiny_generator)
    drag(path, model=own)
    with pytest.raises(TransferError, match="target has a W of width 16; the map's is 12"):
        carry([path], alignment, tiny_generator)
    same = dataclasses.replace(
        alignment, method="identity", target=dataclasses.replace(alignment.source, model="other")
    )
    with pytest.raises(TransferError, match=f"target is another model than the map's target, {own}"):
        carry([path], same, tiny_generator)
    drag(path, model="one")
    fits = dataclasses.replace(same, target=same.source)
    with pytest.raises(TransferError, match="source is another model than that of"):
        carry([path], fits, tiny_generator, source=tiny_generator)
    kept = carry([path], fits, tiny_generator)
    assert kept.source is None
    np.testing.assert_allclose(kept.ws[0], drag(path).ws, atol=1e-6)  # the identity
