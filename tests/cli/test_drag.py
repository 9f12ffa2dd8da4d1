"""`dragspace drag`: what it writes, that edits chain, and one clear line for every mistake."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from dragspace_jax.drag.measure import _compiled
from dragspace_jax.drag.programs import programs_for
from dragspace_jax.loading_ahead import Ahead
from dragspace_jax.networks.rendering import _renderer
from dragspace_jax.spaces import PCA, Displacement, WPlus, save_space
from tests.batch.faults import Disk, full_from

Run = Callable[..., Result]
POINTS = ("--handles", "12,14", "--targets", "20,14")
QUICK = ("--recipe", "published", "--steps", 8, "--lr", 0.05)


BASIS = PCA(mean=jnp.zeros(16), components=jnp.eye(16)[:4], variance=jnp.arange(4.0, 0.0, -1.0), scale=jnp.ones(4))
MOVES = Displacement(
    components=jnp.eye(32).reshape(32, 2, 16)[:3], variance=4 * jnp.ones(3), scale=jnp.ones(3), layers=2
)


def stored(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def arguments(folder: Path, out: Path, *more: object) -> list[object]:
    return ["drag", "--model", folder, "--seed", 3, *POINTS, *QUICK, "--out", out, *more]


def test_it_writes_the_whole_folder(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    result = dragspace(*arguments(tiny_folder, tmp_path / "a"))
    assert result.exit_code == 0, result.output
    written = {path.name for path in (tmp_path / "a").iterdir()}
    assert written == {
        "before.png", "after.png", "drag.png", "drag.gif", "trace.npz", "latents.npz", "result.json",
    }  # fmt: skip
    record = json.loads((tmp_path / "a" / "result.json").read_text())
    steps = record["steps"]
    assert record["outcome"] in ("reached", "step limit")
    assert len(record["distances_px"]) == 1
    assert record["settings"]["learning_rate"] == 0.05
    assert "jax" in record["versions"]
    trace = stored(tmp_path / "a" / "trace.npz")
    kept = stored(tmp_path / "a" / "latents.npz")
    latents = kept["ws"]
    np.testing.assert_array_equal(latents[6:], kept["start"][6:])
    assert np.abs(latents[:6] - kept["start"][:6]).max() > 1e-3
    assert record["space"] == {"name": "w+", "layers": 6}
    assert (record["recipe"], record["settings"]["feature_block"]) == ("published", 32)
    assert None not in record["settings"].values()
    assert trace["handles"].shape == (steps, 1, 2)
    assert trace["handles"][0, 0].tolist() == [12.0, 14.0]
    assert trace["latents"].shape == (steps, 8, 16)
    assert trace["loss"].shape == (steps,)
    np.testing.assert_array_equal(trace["latents"][-1], latents)
    with Image.open(tmp_path / "a" / "drag.gif") as animation:
        assert 1 <= getattr(animation, "n_frames", 1) <= 24
    with Image.open(tmp_path / "a" / "after.png") as picture:
        assert picture.size == (32, 32)


def test_least_change_is_the_default(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    options = ("--steps", 3, "--pictures", "none", "--out", tmp_path / "a")
    result = dragspace("drag", "--model", tiny_folder, "--seed", 3, *POINTS, *options)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "a" / "result.json").read_text())
    assert (record["recipe"], record["space"]["name"], record["space"]["whiten"]) == ("least-change", "pca", 1.0)
    refused = dragspace("drag", "--model", tiny_folder, "--seed", 3, *POINTS, *options, "--lr", 0.1, "--overwrite")
    assert refused.exit_code == 2
    assert "--lr is of no use to the recipe least-change" in refused.output


@pytest.mark.usefixtures("programs_kept")
def test_the_next_drag_finds_all_its_programs_loaded_ahead(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    program = Ahead.program
    monkeypatch.setattr(Ahead, "program", lambda ahead, *which: found.append(program(ahead, *which)) or found[-1])
    monkeypatch.setattr(Future, "cancel", lambda future: False)  # the main thread waits, however little has begun
    for out in ("first", "again"):
        found.clear()
        for kept in (programs_for, _compiled, _renderer):
            kept.cache_clear()  # as in a process of its own
        result = dragspace(*arguments(tiny_folder, tmp_path / out))
        assert result.exit_code == 0, result.output
    assert len(found) == 4
    assert all(isinstance(each, jax.stages.Compiled) for each in found)


def test_edits_chain_and_pictures_can_be_left_out(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    assert dragspace(*arguments(tiny_folder, tmp_path / "a", "--pictures", "none")).exit_code == 0
    assert {path.suffix for path in (tmp_path / "a").iterdir()} == {".npz", ".json"}
    latents = tmp_path / "a" / "latents.npz"
    again = dragspace(
        "drag", "--model", tiny_folder, "--latents", latents, *POINTS, *QUICK, "--out", tmp_path / "b",
        "--pictures", "final",
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    assert (tmp_path / "b" / "drag.png").is_file()
    assert not (tmp_path / "b" / "drag.gif").exists()
    first = stored(latents)["ws"]
    start = stored(tmp_path / "b" / "trace.npz")["latents"][0]
    np.testing.assert_allclose(start[6:], first[6:], atol=1e-6)


def test_spaces_and_masks(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    kept = np.zeros((32, 32), np.uint8)
    kept[20:] = 255
    Image.fromarray(kept).save(tmp_path / "mask.png")
    Image.fromarray(kept // 50).save(tmp_path / "labels.png")
    pca, mask = ("--space", "pca"), ("--mask", tmp_path / "mask.png")
    for name, more in {  # four programs to compile
        "w, whole": ("--space", "w", "--engine", "whole", "--stall", 1),
        "pca, half": (*pca, "--components", 4, "--whiten", 1, "--dtype", "bfloat16", "--noise", "none"),
        "shared, another block": (*pca, "--shared", "--feature-block", 8),
        "mask": mask,
        "inverted": (*mask, "--invert-mask"),
        "region": ("--region", tmp_path / "mask.png"),
        "box": ("--region", "4,4,20,16"),
        "segment": ("--segments", tmp_path / "labels.png", "--segment", 5),
    }.items():
        result = dragspace(*arguments(tiny_folder, tmp_path / name, "--pictures", "none", "--steps", 2, *more))
        assert result.exit_code == 0, (name, result.output)
    record = json.loads((tmp_path / "segment" / "result.json").read_text())
    assert (record["mask"], record["region"], record["segment"]) == (None, None, "5")
    assert record["segments"] == str(tmp_path / "labels.png")
    region, segment = (stored(tmp_path / name / "latents.npz")["ws"] for name in ("region", "segment"))
    np.testing.assert_array_equal(region, segment)


def test_a_basis_of_displacements_is_still_read(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    save_space(MOVES, tmp_path / "moves.npz")
    more = ("--basis", tmp_path / "moves.npz", "--components", 2, "--whiten", 0.5, "--steps", 2, "--pictures", "none")
    dragged = dragspace(*arguments(tiny_folder, tmp_path / "out", *more))
    assert dragged.exit_code == 0, dragged.output
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["space"] == {"name": "displacement", "layers": 2, "components": 2, "whiten": 0.5}
    assert record["basis"] == str(tmp_path / "moves.npz")


def test_an_earlier_drag_is_not_overwritten_unasked(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("of an earlier drag")
    more = ("--steps", 2, "--pictures", "none")
    refused = dragspace(*arguments(tiny_folder, tmp_path, *more))
    assert refused.exit_code == 2
    assert f"{tmp_path / 'result.json'} is there already: --overwrite replaces it" in refused.output
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    (tmp_path / "drag.gif").touch()
    anew = dragspace(*arguments(tiny_folder, tmp_path, *more, "--overwrite"))
    assert anew.exit_code == 0, anew.output
    assert {path.name for path in tmp_path.iterdir()} == {"trace.npz", "latents.npz", "result.json"}


def test_a_full_disk_is_one_line(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        Disk(out, patch, full_from(1))
        ended = dragspace(*arguments(tiny_folder, out, "--steps", 2, "--pictures", "none"))
    assert ended.exit_code == 1
    (*_, told) = ended.output.splitlines()
    assert told.startswith(f"Error: {out / 'latents.npz'}: ")
    assert told.endswith("make room, then run the command again with --overwrite")
    assert not list(out.iterdir())


def _bad_files(folder: Path) -> None:
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(folder / "small.png")
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(folder / "black.png")
    Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(folder / "half.png")
    (folder / "text.png").write_text("no picture")
    np.save(folder / "shape.npy", np.zeros((3, 16), np.float32))
    np.save(folder / "infinite.npy", np.full((8, 16), np.inf, np.float32))
    save_space(WPlus(layers=2), folder / "plain.npz")
    save_space(BASIS, folder / "pca.npz")
    save_space(dataclasses.replace(BASIS, model="another"), folder / "other.npz")
    save_space(dataclasses.replace(BASIS, variance=jnp.array([3.0, 2.0, 1.0, 0.0])), folder / "flat.npz")
    save_space(dataclasses.replace(BASIS, mean=jnp.zeros(17), components=jnp.eye(17)[:4]), folder / "wide.npz")
    save_space(MOVES, folder / "moves.npz")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--model", "nowhere"), "unknown model 'nowhere'"),
        (("--targets", "1,1;2,2"), "1 handles and 2 targets"),
        (("--handles", "32,3"), "x=32, y=3, outside the image"),
        (("--handles", "1;2"), "is not like"),
        (("--handles", "a,b"), "is not like"),
        (("--mask", "small.png"), "the mask has shape"),
        (("--mask", "black.png"), "both 0"),
        (("--mask", "text.png"), "not a picture"),
        (("--mask", "missing.png"), "no such file"),
        (("--invert-mask",), "--invert-mask needs --mask"),
        (("--mask", "half.png", "--region", "1,1,4,4"), "give either --mask or --region: where"),
        (("--mask", "half.png", "--segment", "mouth"), "give either --mask or --segment: where"),
        (("--region", "1,2,3"), "--region is '1,2,3'; it must be x,y,width,height or a picture"),
        (("--region", "30,0,4,4"), "--region: the box x=30, y=0, 4 wide, 4 high is not within the image's 32 × 32"),
        (("--region", "0,0,32,32"), "--region: the region must hold both 0 (must stay)"),
        (("--region", "small.png"), "the region has shape 16×16"),
        (("--segment", "mouth"), "--segment mouth: only on the embedded models"),
        (("--segment", "mouth"), "give a label map as --segments, with ids of it, or a --region"),
        (("--segments", "half.png"), "--segments needs --segment"),
        (("--segments", "half.png", "--segment", "0,7"), "--segment 7 is not on the label map; it holds 0, 255"),
        (("--segments", "half.png", "--segment", "mouth"), "--segment 'mouth' is no id of a label map"),
        (("--segments", "text.png", "--segment", "1"), "not a picture"),
        (("--latents", "shape.npy"), "either --seed or --latents"),
        (("--layers", 9), "layers is 9; the model has 8"),
        (("--space", "pca", "--components", 99), "components is 99"),
        (("--space", "w+", "--components", 4), "--components belongs to --space pca or a --basis, not to --space w+"),
        (("--recipe", "published", "--whiten", 1), "--whiten belongs to --space pca or a --basis, not to --space w+"),
        (("--space", "displacement"), "'displacement' is not one of"),
        (("--basis", "pca.npz", "--space", "w"), "--basis belongs to --space pca, not to --space w"),
        (("--basis", "moves.npz", "--space", "pca"), "holds a basis of kind displacement; leave --space out"),
        (("--basis", "pca.npz", "--components", 5), "components is 5; the basis has 4"),
        (("--basis", "pca.npz", "--whiten", 2), "power of whitening is 2.0"),
        (("--basis", "flat.npz", "--whiten", 1), "covariance is degenerate"),
        (("--basis", "other.npz"), "fitted on another model"),
        (("--basis", "wide.npz"), "width 17"),
        (("--basis", "moves.npz", "--shared"), "--shared belongs to --space pca"),
        (("--basis", "moves.npz", "--layers", 4), "layers is 4; the basis of displacements was fitted on 2"),
        (("--basis", "plain.npz"), "has no components"),
        (("--basis", "."), "is not a file"),
        (("--basis", "missing.npz"), "does not exist"),
        (("--basis", "text.png"), "cannot be read"),
        (("--momentum", 1), "--momentum is 1.0; it must be a finite number from 0 below 1"),
        (("--pace", 3), "No such option"),
        (("--tolerance", 0), "--tolerance is 0.0; it must be a finite number above 0"),
        (("--solver", "adam"), "No such option"),
        (("--feature-block", 128), "--feature-block: feature block 128"),
        (("--lr", -1), "--lr is -1.0; it must be a finite number above 0"),
        (("--stall", -1), "--stall is -1; it must be a whole number from 0"),
        (("--mask", "half.png", "--engine", "window"), "--engine is 'window'; an edit with a mask needs 'whole'"),
        (("--label", 1), "no classes"),
    ],
)
def test_mistakes_are_one_line(
    dragspace: Run,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    _bad_files(tmp_path)
    result = dragspace(*arguments(tiny_folder, tmp_path / "out", *more))
    assert result.exit_code == 2
    lines = result.output.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    assert message in lines[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "message"), [("shape.npy", "the shape is [3, 16]"), ("infinite.npy", "not finite")])
def test_bad_latents(dragspace: Run, tiny_folder: Path, tmp_path: Path, name: str, message: str) -> None:
    _bad_files(tmp_path)
    command = ["drag", "--model", tiny_folder, "--latents", tmp_path / name, *POINTS, "--out", tmp_path / "out"]
    result = dragspace(*command)
    assert result.exit_code == 2
    assert message in result.output
