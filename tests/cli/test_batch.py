"""`dragspace batch`: results as they finish, bad lines among good ones, how it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from dragspace_jax.batch import sheet
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.viz.sheets import contact_sheet
from tests.batch.edits import edit, records, write

Run = Callable[..., Result]
QUICK = ("--recipe", "published", "--space", "pca", "--steps", 4, "--lr", 0.05, "--lanes", 2)


def test_it_writes_the_whole_folder(
    dragspace: Run, tiny_folder: Path, tiny_generator: Generator, tmp_path: Path
) -> None:
    np.save(tmp_path / "start.npy", np.random.RandomState(0).standard_normal((8, 16)).astype(np.float32))
    mask = np.zeros((32, 32), np.uint8)
    mask[20:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    edits = write(
        tmp_path / "edits.jsonl",
        edit(id="one"),
        edit(id="../two", handles=[[12, 14], [5, 5]], targets=[[20, 14], [9, 9]], psi=1),
        {"seed": 4, "points": {"handle": [[200, 100]], "target": [[230, 130]]}},
        edit(id="masked", mask="mask.png"),
        edit(id="latents", seed=None, latents="start.npy", steps=2),
        edit(id="outside", handles=[[40, 3]]),
    )
    result = dragspace("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out", "--pictures", "pair", *QUICK)
    assert result.exit_code == 0, result.output
    assert "6 edits: 1 invalid" in result.output
    assert "edits/s" in result.output
    found = records(tmp_path / "out")
    assert set(found) == {"one", "../two", "line-000003", "masked", "latents", "outside"}
    bad = found.pop("outside")
    assert bad["outcome"] == "invalid"
    assert "outside the image" in bad["reason"]
    for name, record in found.items():
        assert record["outcome"] in ("reached", "step limit"), record
        assert 1 <= record["steps"] <= 4
        assert len(record["distances_px"]) == len(record["handles_xy"]) == (2 if name == "../two" else 1)
        with np.load(tmp_path / "out" / record["latents"]) as arrays:
            assert arrays["ws"].shape == (8, 16)
        with Image.open(tmp_path / "out" / record["image"]) as picture:
            assert picture.width > 2 * 512
        quality = record["quality"]
        assert quality["flagged"] == bool(quality["reasons"]) == (quality["verdict"] != "reached")
        assert len(quality["residual"]) == len(quality["back_px"]) == len(record["handles_xy"])
        assert ("change_kept" in quality) == (name == "masked")
        assert 0 < quality["ssim"] < 1
        assert quality["distance"] != quality["start_distance"]
    flagged = sum(record["quality"]["flagged"] for record in found.values())
    assert f"{flagged} of 5 are flagged" in result.output
    assert found["../two"]["latents"] == "latents/_two.npz"
    assert found["latents"]["steps"] <= 2
    assert {path.name for path in tmp_path.iterdir()} == {"start.npy", "mask.png", "edits.jsonl", "out"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["edits"], summary["flagged"]) == (6, flagged)
    assert sum(summary["outcomes"].values()) == 6
    assert summary["this_run"]["edits"] == 5
    assert 0 < summary["this_run"]["occupancy"] <= 1
    assert summary["settings"]["learning_rate"] == 0.05
    assert summary["space"] == {"name": "pca", "layers": 6, "components": 16, "whiten": 0.0, "shared": False}
    assert (summary["recipe"], summary["settings"]["momentum"]) == ("published", 0.9)
    assert summary["engine_with_mask"] == "whole"
    assert summary["fingerprint"] == fingerprint(tiny_generator)
    assert summary["this_run"]["lanes"] == 2
    assert summary["whole_job"]["runs"] == 1
    assert None not in summary["settings"].values()
    assert "jax" in summary["versions"]


def test_the_sheet_begins_with_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where some lines are of an earlier version and have no quality."""
    (tmp_path / "images").mkdir()
    lines, changes = [], {"good": 0.001, "worst": 0.9, "old": None, "bad": 0.1}
    for number, (name, change) in enumerate(changes.items(), 1):
        Image.new("RGB", (400, 300)).save(tmp_path / f"images/{name}.png")
        quality = {"side": 128, "tolerance_px": 2.0, "change_outside": change}
        lines.append(
            {"id": name, "outcome": "reached", "line": number, "distances_px": [1.0], "image": f"images/{name}.png"}
            | ({} if change is None else {"quality": quality})
        )
    write(tmp_path / "results.jsonl", *reversed(lines), {"id": "no", "outcome": "invalid"})
    shown: list[Any] = []
    monkeypatch.setattr(sheet, "contact_sheet", lambda images, labels: shown.append(labels) or contact_sheet(images))
    sheet.write_sheet(tmp_path, "quality")
    sheet.write_sheet(tmp_path, "file")
    names = [[label.split(":")[0] for label in labels] for labels in shown]
    assert names == [["worst", "bad", "good", "old"], ["good", "worst", "old", "bad"]]
    assert shown[0][0].replace("\n", " ") == "worst: reached, background"
    assert shown[0][3] == "old: reached"
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.size == (2 * (299 + 4) + 4, 2 * (224 + 4) + 4)


def test_an_edit_ends_as_it_does_alone(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    edits = write(tmp_path / "edits.jsonl", edit(id="a"), edit(id="b", seed=5))
    dragspace("batch", edits, "--model", tiny_folder, "--out", tmp_path / "many", "--pictures", "after", *QUICK)
    alone = dragspace(
        "drag", "--model", tiny_folder, "--seed", 3, "--handles", "12,14", "--targets", "20,14", *QUICK[:8],
        "--out", tmp_path / "one", "--pictures", "final",
    )  # fmt: skip
    assert alone.exit_code == 0, alone.output
    with np.load(tmp_path / "many/latents/a.npz") as many, np.load(tmp_path / "one/latents.npz") as one:
        np.testing.assert_allclose(many["ws"], one["ws"], atol=1e-3)
    with Image.open(tmp_path / "many/images/a.png") as many, Image.open(tmp_path / "one/after.png") as one:
        assert many.size == one.size
        assert np.abs(np.asarray(many, int) - np.asarray(one, int)).max() <= 2


def test_bad_lines_are_results_and_the_others_run(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace
) -> None:
    np.save(tmp_path / "shape.npy", np.zeros((3, 16), np.float32))
    edits = write(
        tmp_path / "edits.jsonl",
        edit(id="a"),
        b"\xff\xfe",
        "",
        "[" * 100_000,
        "x" * 2**21,
        edit(id="a"),
        edit(id="b", lr="fast"),
        edit(id="b"),
        edit(id="c", seed=None, latents="shape.npy"),
        edit(id="cc", seed=None, latents="shape.npy", label=1, space="w+"),
        edit(id="d", seed=None, latents="no\0where.npy"),
        edit(id="e", mask="missing.png"),
        edit(id="f", mask="shape.npy"),
        edit(id="g", label=1),
        edit(id="h", layers=9),
        edit(id="i", steps=0),
        edit(id="j", space="w", components=2),
        edit(id="k", mask="n" * 300),
        edit(id="line-000021"),
        "{}",
        edit(id="l", radius_track=512, lr=1e30, psi=1e30),
        edit(id="m", radius_motion=513),
    )
    out = tmp_path / "out"
    result = dragspace("batch", edits, "--model", tiny_folder, "--out", out, "--pictures", "none", *QUICK)
    assert result.exit_code == 0, result.output
    assert [request.id for request in instant.ran] == ["a", "line-000021", "l"]
    reasons = {name: record["reason"] for name, record in records(out).items() if record["outcome"] == "invalid"}
    for name, reason in {
        "line-000002": "not UTF-8",
        "line-000004": "nested too deeply",
        "line-000005": "longer than",
        "line-000006": 'the id "a" is that of line 1 already',
        "b": 'lr: "fast" is not a number',
        "m": "a patch larger than the image",
        "line-000008": 'the id "b" is that of line 7 already',
        "c": "the shape is [3, 16]",
        "cc": "label goes with seed",
        "d": "no such file",
        "e": "no such file",
        "f": "not a picture",
        "g": "no classes",
        "h": "layers is 9",
        "i": "steps is 0",
        "j": "components belongs to",
        "k": "name too long",
        "line-000020": "either seed or latents",
    }.items():
        assert reason in reasons.pop(name).replace("File name", "name")
    assert not reasons
    assert "18 of the lines are invalid" in result.output


def test_lines_name_what_may_change(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace
) -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[4:8, 4:8], labels[20:24, 20:24] = 3, 5
    Image.fromarray(labels).save(tmp_path / "labels.png")
    edits = write(
        tmp_path / "edits.jsonl",
        edit(id="none"),
        edit(id="box", region=[4, 4, 4, 4]),
        edit(id="picture", region="labels.png"),  # no pixel of it is white
        edit(id="labels", segment=[3, 5], segments="labels.png"),
        edit(id="both", segment=3, segments="labels.png", region="20,20,4,4"),
        edit(id="unseen", segment="mouth"),
        edit(id="absent", segment="4", segments="labels.png"),
    )
    out = tmp_path / "out"
    result = dragspace("batch", edits, "--model", tiny_folder, "--out", out, "--pictures", "none", *QUICK)
    assert result.exit_code == 0, result.output
    regions = {request.id: request.region for request in instant.ran}
    assert {request.id: request.settings.metric == "image" for request in instant.ran} == {
        name: region is not None for name, region in regions.items()
    }
    assert regions.pop("none") is None
    assert not regions.pop("picture").any()  # which `make_edit` refuses
    np.testing.assert_array_equal(regions.pop("box"), labels == 3)
    for name in ("labels", "both"):
        np.testing.assert_array_equal(regions.pop(name), labels > 0)
    assert not regions
    assert {request.id: request.settings.engine for request in instant.ran}["box"] == "whole"
    told = records(out)
    assert "give a label map as segments, with ids of it, or a region" in told["unseen"]["reason"]
    assert "segment 4 is not on the label map; it holds 0, 3, 5" in told["absent"]["reason"]


def test_other_spaces_do_not_take_over_what_belongs_to_the_pca(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, instant: SimpleNamespace
) -> None:
    edits = write(tmp_path / "edits.jsonl", edit(space="w"), edit(), edit(components=2), edit(components=2, lr=1))
    chosen = ("--space", "pca", "--components", 4, "--shared", "--stall", 7)
    result = dragspace("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out", *chosen, *QUICK)
    assert result.exit_code == 0, result.output
    spaces = [request.space for request in instant.ran]
    assert [type(space).__name__ for space in spaces] == ["W", "PCA", "PCA", "PCA"]
    assert [space.components.shape[0] for space in spaces[1:]] == [4, 2, 2]
    assert spaces[2] is spaces[3]
    assert {request.settings.stall for request in instant.ran} == {7}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--model", "nowhere"), "unknown model 'nowhere'"),
        (("--lanes", "many"), "'many' is neither auto nor a whole number"),
        (("--lanes", 0), "'0' is neither auto"),
        (("--recipe", "published", "--lr", -1), "--lr is -1.0; it must be a finite number above 0"),
        (("--layers", 9), "layers is 9"),
        (("--psi", "nan"), "--psi nan"),
        (("--label", 1), "no classes"),
        (("--resume", "--overwrite"), "either --resume or --overwrite"),
        (("--sort", "quality", "--pictures", "none"), "--sort orders the sheet of pictures"),
        (
            ("--recipe", "published", "--radius-motion", 1000000),
            "--radius-motion is 1000000.0; a patch larger than the image",
        ),
    ],
)
def test_bad_options_end_the_command(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, more: tuple[object, ...], message: str
) -> None:
    edits = write(tmp_path / "edits.jsonl", edit())
    result = dragspace("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out", *more)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_file_ends_the_command(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    result = dragspace("batch", tmp_path / "none.jsonl", "--model", tiny_folder, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_an_empty_file_ends_the_command(dragspace: Run, tiny_folder: Path, tmp_path: Path) -> None:
    edits = write(tmp_path / "edits.jsonl", "")
    result = dragspace("batch", edits, "--model", tiny_folder, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "holds no edits" in result.output
    assert not (tmp_path / "out").exists()
