"""`dragspace transfer`: files, going on from them, an earlier transfer's folder, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dragspace_jax.analysis.align import Alignment, PCABasis
from dragspace_jax.inputs import read_latents
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.results import write_latents
from dragspace_jax.stylegan2 import Latents


@pytest.fixture(scope="module")
def given(tmp_path_factory, tiny_folder, tiny_generator) -> Path:
    """A folder with the identity of the tiny model as map.npz, and a drag's folder `ear`."""
    folder = tmp_path_factory.mktemp("given")
    own = fingerprint(tiny_generator)
    basis = PCABasis(mean=np.zeros(16), components=np.eye(16), variance=np.ones(16), model=own)
    Alignment(
        method="identity", source=basis, target=basis, matrix=np.eye(16), offset=np.zeros(16), correlations=np.zeros(0)
    ).save(folder / "map.npz")
    random = np.random.default_rng(0)
    start = np.repeat(random.standard_normal((1, 16)).astype(np.float32), 8, axis=0)
    (folder / "ear").mkdir()
    write_latents(folder / "ear" / "latents.npz", Latents(ws=start + 0.5), Latents(ws=start), own)
    (folder / "ear" / "result.json").write_text(json.dumps({"outcome": "reached", "model": str(tiny_folder)}))
    return folder


def test_a_drag_is_carried_and_can_be_gone_on_from(dragspace, given, tiny_folder, tiny_generator, tmp_path):
    out = tmp_path / "out"
    arguments = ("transfer", given / "ear", "--map", given / "map.npz", "--to", tiny_folder, "--out", out)
    result = dragspace(*arguments)
    assert result.exit_code == 0, result.output
    assert "1 image, 1 of them edited" in result.output
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {"latents/ear.npz", "images/ear.png", "sheet.png", "transfer.json"}
    carried, original = (read_latents(p, tiny_generator) for p in (out / "latents/ear.npz", given / "ear/latents.npz"))
    np.testing.assert_allclose(carried.ws, original.ws, atol=1e-6)
    record = json.loads((out / "transfer.json").read_text())
    assert (record["from"], record["fingerprint"]) == (str(tiny_folder), fingerprint(tiny_generator))
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width > 4 * 224  # source and target, before and after

    refused = dragspace(*arguments)
    assert refused.exit_code == 2
    assert "--overwrite replaces it" in refused.output
    np.save(tmp_path / "plain.npy", original.ws)
    plain = dragspace("transfer", tmp_path / "plain.npy", *arguments[2:], "--overwrite")
    assert plain.exit_code == 0, plain.output
    assert "give it as --from" in plain.output
    assert {path.name for path in (out / "latents").iterdir()} == {"plain.npz"}  # nothing of the first one is left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "{given}/none.npz"], "none.npz does not exist; dragspace align writes one"),
        (["--to", "critters-cat"], "--to is another model than the map's target"),
        (["--from", "critters-cat"], "--from is another model than the map's source"),
        (["--to", "nothing"], "unknown model 'nothing'"),
        (["{given}/map.npz"], "the archive has no array `ws`"),
        (["{given}"], "no results.jsonl of dragspace batch"),
        (["{given}/ear", "--out", "{batch}"], "the folder is a batch's"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(dragspace, given, tiny_folder, tmp_path, arguments, message):
    batch, out = tmp_path / "batch", tmp_path / "out"
    batch.mkdir()
    (batch / "results.jsonl").write_text("")
    typed = [each.format(given=given, batch=batch) for each in arguments]
    result = dragspace("transfer", given / "ear", "--map", given / "map.npz", "--to", tiny_folder, "--out", out, *typed)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    assert not out.exists()
    assert [path.name for path in batch.iterdir()] == ["results.jsonl"]
