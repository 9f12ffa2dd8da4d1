"""Lines of an edits file: what they say, and that whatever is wrong is told and nothing worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragspace_jax.batch.lines import LONGEST_LINE, MOST_POINTS, LineError, parse_line, read_lines
from dragspace_jax.batch.regions import RegionChoice

GOOD: dict[str, Any] = {"seed": 3, "handles": [[12, 14]], "targets": [[20, 14.5]]}


def raw(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def test_points_are_x_y() -> None:
    line = parse_line(raw(), 32)
    assert (line.id, line.seed, line.latents, line.psi, line.mask) == (None, 3, None, None, None)
    assert line.handles_yx.tolist() == [[14, 12]]
    assert line.targets_yx.tolist() == [[14.5, 20]]
    assert line.handles_yx.dtype == np.float32
    assert line.settings == {}


def test_settings_have_the_options_names() -> None:
    line = parse_line(raw(id="a", steps=5, lr=1, space="pca", shared=True, engine="whole", mask="m.png", psi=None), 32)
    assert line.id == "a"
    assert line.settings == {"steps": 5, "lr": 1.0, "space": "pca", "shared": True, "engine": "whole"}
    assert (line.mask, line.invert_mask) == ("m.png", False)
    solver = {"momentum": 0.5, "tolerance": 1.0, "engine": "window", "dtype": "bfloat16"}
    basis = {"basis": "dog.npz", "whiten": 1.0, "shared": False}
    assert parse_line(raw(**solver, **basis), 32).settings == {**solver, **basis}


@pytest.mark.parametrize(
    ("named", "choice"),
    [
        ({}, RegionChoice()),
        ({"region": [1, 2.5, 3, 4]}, RegionChoice(region=(1.0, 2.5, 3.0, 4.0))),
        ({"region": "1,2.5, 3,4"}, RegionChoice(region=(1.0, 2.5, 3.0, 4.0))),
        ({"region": "may.png"}, RegionChoice(region="may.png")),
        ({"segment": "mouth"}, RegionChoice(segment=("mouth",))),
        ({"segment": "mouth, eye_left"}, RegionChoice(segment=("mouth", "eye_left"))),
        ({"segment": ["mouth", "ear"]}, RegionChoice(segment=("mouth", "ear"))),
        ({"segment": 3, "segments": "l.png"}, RegionChoice(segment=("3",), segments="l.png")),
        ({"segment": [3, 5], "segments": "l.png"}, RegionChoice(segment=("3", "5"), segments="l.png")),
    ],
)
def test_what_may_change(named: dict[str, Any], choice: RegionChoice) -> None:
    may_change = parse_line(raw(**named), 32).may_change
    assert may_change == choice
    assert bool(may_change) == bool(named)


def test_the_public_form_moves_to_the_models_size() -> None:
    points = {"handle": [[0, 511], [255, 300]], "target": [[600, 5], [256, 300]]}
    text = json.dumps({"seed": 3, "points": points}).encode()
    same = parse_line(text, 512)
    assert same.handles_yx.tolist() == [[0, 511], [255, 300]]
    assert same.targets_yx.tolist() == [[511, 5], [256, 300]]
    small = parse_line(text, 32)
    assert small.handles_yx.tolist() == [[0, 31], [15.46875, 18.28125]]
    # 255 and 256 lie on both sides of the middle, in either picture.
    assert small.handles_yx[1, 0] + small.targets_yx[1, 0] == 31


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "not JSON: "),
        (b"\xff{}", "not UTF-8 (byte 1)"),
        (b"[1]", "not a JSON object but [1]"),
        (b"null", "not a JSON object but null"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"seed": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
        (b'{"seed": NaN}', "NaN is not a number of JSON"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"seed": 1, "seed": 2}', 'the key "seed" stands twice'),
        (b'{"id": "' + b"x" * LONGEST_LINE + b'"}', "longer than"),
        (raw(sed=1), 'unknown key "sed"'),
        (raw(seed=None), "either seed or latents"),
        (raw(latents="a.npy"), "either seed or latents"),
        (raw(seed=None, latents="a.npy", psi=1), "psi goes with seed"),
        (raw(seed="3"), 'seed is "3"; it must be a whole number'),
        (raw(seed=3.5), "seed is 3.5"),
        (raw(seed=True), "seed is true"),
        (raw(seed=2**32), "seed is 4294967296"),
        (raw(steps=10**12), "steps is 1000000000000"),
        (raw(steps=-1), "steps is -1"),
        (raw(lr="1e-3"), 'lr: "1e-3" is not a number'),
        (raw(lr=True), "lr: true is not a number"),
        (raw(lr=10**400), "too large"),
        (raw(psi=1e300), "psi: 1e+300 is too large"),
        (b'{"seed": 1, "psi": 1e999}', "too large"),
        (raw(shared=1), "shared is 1; it must be true or false"),
        (raw(space="y"), 'space is "y"; it must be one of w+'),
        (raw(space=["w"]), 'space is ["w"]'),
        (raw(solver="adam"), 'unknown key "solver"'),
        (raw(half_life=3), 'unknown key "half_life"'),
        (raw(space="displacement"), 'space is "displacement"; it must be one of w+, w, pca'),
        (raw(engine="tile"), 'engine is "tile"; it must be one of window, whole'),
        (raw(lr=0), "lr is 0.0; it must be a finite number above 0"),
        (raw(momentum=1), "momentum is 1.0; it must be a finite number from 0 below 1"),
        (raw(steps=0), "steps is 0; it must be a whole number above 0"),
        (raw(basis=3), "basis is 3; it must be a text"),
        (raw(whiten="1"), 'whiten: "1" is not a number'),
        (raw(tolerance=1e300), "tolerance: 1e+300 is too large"),
        (raw(mask=""), 'mask is ""'),
        (raw(id=7), "id is 7; it must be a text"),
        (raw(id="x" * 201), "id has 201 characters"),
        (raw(invert_mask=True), "invert_mask needs mask"),
        (raw(region=[1, 2, 3]), "region is [1, 2, 3]; it must be x,y,width,height or a picture"),
        (raw(region="1,2,3"), "region is '1,2,3'; it must be"),
        (raw(region=[1, 2, 3, True]), "region is [1, 2, 3, True]"),
        (raw(region=[1, 2, 3, 10**400]), "region is [1, 2, 3, 1000"),
        (raw(region=""), "region is ''"),
        (raw(region=3), "region is 3"),
        (raw(segment=[]), "segment is []; it must be 1 to"),
        (raw(segment="mouth,"), "segment is 'mouth,'"),
        (raw(segment=["x" * 41]), "segment is ['xxx"),
        (raw(segment=[1.5]), "segment is [1.5]; it must be names or ids"),
        (raw(segment={"mouth": 1}), "segment is {'mouth': 1}"),
        (raw(segments="l.png"), "segments needs segment"),
        (raw(segments=3, segment="3"), "segments is 3; it must be a text"),
        (raw(mask="m.png", region="r.png"), "give either mask or region: where"),
        (raw(mask="m.png", segment="mouth"), "give either mask or segment: where"),
        (raw(handles=None), "handles are missing"),
        (raw(handles="12,14"), 'handles is "12,14"; it must be a list of pairs'),
        (raw(handles=[12, 14]), "handles is [12, 14]"),
        (raw(handles=[[12, 14, 1]]), "handles is [[12, 14, 1]]"),
        (raw(handles=[["12", 14]]), 'handles: "12" is not a number'),
        (raw(handles=[[1e300, 14]]), "too large"),
        (raw(handles=[]), "handles has 0 points"),
        (raw(handles=[[1, 1]] * (MOST_POINTS + 1)), "it must have 1 to"),
        (raw(handles=[[1, 1]] * 2), "2 handles and 1 targets"),
        (raw(points={}), "either points or handles and targets"),
        (raw(handles=None, targets=None, points={"handle": [[1, 2]]}), "points is "),
        (raw(handles=None, targets=None, points=[1]), "points is [1]"),
        (raw(handles=None, targets=None, points={"handle": 1, "target": 2}), "points.handle is 1"),
    ],
)
def test_what_is_no_edit_is_told(text: bytes, reason: str) -> None:
    with pytest.raises(LineError) as caught:
        parse_line(text, 32)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_error_knows_the_lines_id() -> None:
    with pytest.raises(LineError) as caught:
        parse_line(raw(id="mine", seed="x"), 32)
    assert caught.value.id == "mine"


def test_blank_lines_are_passed_over_and_long_ones_cut(tmp_path: Path) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_bytes(b"a\n\n  \r\n" + b"x" * (3 * LONGEST_LINE) + b"\nb")
    lines = list(read_lines(path))
    assert [(number, len(line)) for number, line in lines] == [(1, 2), (4, LONGEST_LINE + 1), (5, 1)]
