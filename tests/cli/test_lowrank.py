"""`dragspace lowrank`: its file and sheet, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from dragspace_jax.analysis.local import region_grams
from dragspace_jax.analysis.region_file import read_region_directions
from dragspace_jax.analysis.regional import lowrank
from dragspace_jax.inputs import seed_latents
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.stylegan2 import Generator

Run = Callable[..., Result]
BOX = ("--region", "4,8,10,12")


def _run(dragspace: Run, folder: Path, out: Path, *more: object) -> Result:
    return dragspace("lowrank", "--model", folder, "--seeds", "0-1", "--out", out, *more)


def test_it_writes_directions_and_a_sheet(
    dragspace: Run, tiny_folder: Path, tiny_generator: Generator, tmp_path: Path
) -> None:
    result = _run(dragspace, tiny_folder, tmp_path, *BOX, "--directions", 4, "--rows", 2)
    assert result.exit_code == 0, result.output
    assert "seed 1: 4 directions; rank" in result.output
    found = read_region_directions(tmp_path / "directions.npz")
    assert found.directions.shape == (2, 4, 16)
    assert found.model == fingerprint(tiny_generator)
    assert found.regions.sum() == 2 * 120
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=2), 1.0)
    ws = seed_latents(tiny_generator, [1], psi=0.7)[0]
    np.testing.assert_array_equal(found.ws[1], ws)
    region, rest = region_grams(tiny_generator, ws, found.regions[1], channels="each", layers=range(4, 8))
    ratios = [np.einsum("kd,de,ke->k", found.directions[1], gram, found.directions[1]) for gram in (region, rest)]
    own = np.linalg.eigh(region)[1][:, -1]
    assert ratios[0][0] / ratios[1][0] > (own @ region @ own) / (own @ rest @ own)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert 8 * 32 < sheet.width < 16 * 32
        assert 4 * 32 < sheet.height < 6 * 32


def test_one_basis_serves_all_images(tiny_generator: Generator, tmp_path: Path) -> None:
    region = np.zeros((32, 32), bool)
    region[8:20, 4:14] = True
    found = lowrank(tiny_generator, seeds=[0, 1], region=region, shared=True, solver="rpca", directions=3)
    assert len(found.subspaces) == 1
    assert found.ws.shape == (2, 8, 16)
    found.save(tmp_path / "shared.npz")
    again = read_region_directions(tmp_path / "shared.npz")
    np.testing.assert_array_equal(again.directions, found.directions)
    assert again.subspaces[0].outcome is found.subspaces[0].outcome
    assert again.subspaces[0].null_rest.shape == found.subspaces[0].null_rest.shape


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give --region or --segment"),
        (("--region", "30,0,4,4"), "is not within the image's 32 × 32 pixels"),
        (("--region", "0,0,32,32"), "--region is all of the image"),
        (("--segment", "eye"), "only on the embedded models"),
        ((*BOX, "--on-layers", "6-9"), "--on-layers is 6-9"),
        ((*BOX, "--latents", "x.npy"), "either --seeds or --latents"),
    ],
)
def test_mistakes_are_named(
    dragspace: Run, tiny_folder: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    result = _run(dragspace, tiny_folder, tmp_path / "out", *options)
    assert result.exit_code == 2
    assert said in result.output
