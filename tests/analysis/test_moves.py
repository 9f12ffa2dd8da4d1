"""Directions by file, style channels and moves: units, layers, exact sums, and what is refused."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import dragspace_jax as ds
from dragspace_jax.analysis.directions import DirectionError, Directions, read_directions
from dragspace_jax.analysis.local import region_grams
from dragspace_jax.analysis.moves import MoveError, at_positions, channel_move, chosen_layers, direction_move
from dragspace_jax.analysis.styles import ChannelError, StyleStatistics, channel_of, style_statistics
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces import PCA, fit_pca, save_space
from dragspace_jax.spaces.fit import draw
from dragspace_jax.stylegan2.generator import Generator
from dragspace_jax.stylegan2.rendering import render_images

WIDTH = 16


@pytest.fixture(scope="module")
def basis(tiny_generator: Generator) -> PCA:
    return fit_pca(tiny_generator, samples=3000, components=3)


@pytest.fixture(scope="module")
def statistics(tiny_generator: Generator) -> StyleStatistics:
    return style_statistics(tiny_generator, samples=3000)


def unit_rows(*shape: int) -> np.ndarray:
    rows = np.random.RandomState(1).standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def lowrank_file(path: Path, fingerprint: str, **changes: np.ndarray) -> Path:
    """What `dragspace lowrank` writes of it: two images, the second with fewer directions."""
    rows = unit_rows(2, 3, WIDTH)
    rows[1, 2] = 0
    arrays = {"directions": rows, "coordinates": np.asarray("w"), "model": np.asarray(fingerprint), **changes}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_statistics_are_those_of_sampled_styles(tiny_generator: Generator, statistics: StyleStatistics) -> None:
    w = draw(tiny_generator.mapping, 0, 0, None)[:3000]
    ws = jnp.broadcast_to(w[:, None], (3000, tiny_generator.config.num_ws, WIDTH))
    styles = tiny_generator.synthesis.styles(ws)
    assert list(statistics.mean) == list(styles)
    for name, sampled in styles.items():
        exact = np.asarray(sampled, np.float64)
        np.testing.assert_allclose(statistics.mean[name], exact.mean(0), atol=1e-5)
        np.testing.assert_allclose(statistics.deviation[name], exact.std(0), rtol=1e-4)
    assert set(statistics.mean) - set(statistics.without_rgb().mean) == {n for n in styles if n.endswith("torgb")}


def test_published_numbers_count_the_torgb_layers(tiny_generator: Generator) -> None:
    assert channel_of(tiny_generator, 6, 5) == channel_of(tiny_generator, "6", 5) == ("b16.conv1", 5)
    assert channel_of(tiny_generator, "b4.torgb", 0) == channel_of(tiny_generator, 1, 0) == ("b4.torgb", 0)


@pytest.mark.parametrize(
    ("layer", "index", "says"),
    [("b64.conv0", 0, "it has b4.conv1"), (11, 0, "numbered 0 to 10"), ("b4.conv1", 999, "channels 0 to 15")],
)
def test_channels_that_are_not_there(tiny_generator: Generator, layer: str | int, index: int, says: str) -> None:
    with pytest.raises(ChannelError, match=says):
        channel_of(tiny_generator, layer, index)


def test_a_channel_moves_by_its_deviation(tiny_generator: Generator, statistics: StyleStatistics) -> None:
    move = channel_move(tiny_generator, statistics, 6, 2)
    start = ds.Latents(ws=np.zeros((8, WIDTH), np.float32), offsets={"b4.conv1": np.ones(16, np.float32)})
    along = at_positions(start, [move], [0.0, 3.0])
    assert along.ws.shape == (2, 8, WIDTH)
    assert along.offsets["b16.conv1"][1, 2] == pytest.approx(3 * statistics.deviation["b16.conv1"][2])
    assert np.count_nonzero(along.offsets["b16.conv1"]) == 1
    np.testing.assert_array_equal(along.offsets["b4.conv1"], 1)


def test_a_basis_moves_by_deviations(tiny_generator: Generator, basis: PCA, tmp_path: Path) -> None:
    save_space(basis, tmp_path / "basis.npz")
    ws = ds.seed_latents(tiny_generator, [3], psi=1.0)[0]
    edited = ds.edit(tiny_generator, ws, tmp_path / "basis.npz", {0: 2.0, 2: -1.0}, on_layers=(2, 3))
    components, deviations = np.asarray(basis.components), np.sqrt(np.asarray(basis.variance))
    step = 2 * deviations[0] * components[0] - deviations[2] * components[2]
    np.testing.assert_allclose(edited.ws[2:4], ws[2:4] + step, atol=1e-5)
    np.testing.assert_array_equal(np.delete(edited.ws, [2, 3], 0), np.delete(ws, [2, 3], 0))
    np.testing.assert_allclose(ds.edit(tiny_generator, ws, basis, {0: 2.0, 2: -1.0}, on_layers=(2, 3)).ws, edited.ws)


def test_arrays_move_as_they_stand_on_the_published_layers(tiny_generator: Generator, tmp_path: Path) -> None:
    np.save(tmp_path / "boundary.npy", unit_rows(1, WIDTH))
    ws = ds.seed_latents(tiny_generator, [3], psi=1.0)[0]
    edited = ds.edit(tiny_generator, ws, tmp_path / "boundary.npy", {0: 3.0})
    np.testing.assert_allclose(edited.ws[4:8], ws[4:8] + 3 * unit_rows(1, WIDTH), atol=1e-6)
    np.testing.assert_array_equal(edited.ws[:4], ws[:4])


def test_directions_of_an_image(tiny_generator: Generator, tmp_path: Path) -> None:
    path = lowrank_file(tmp_path / "directions.npz", fingerprint(tiny_generator))
    rows = unit_rows(2, 3, WIDTH)
    np.testing.assert_allclose(read_directions(path, tiny_generator).vectors, rows[0])
    np.testing.assert_allclose(read_directions(path, tiny_generator, image=1).vectors, rows[1, :2])
    with pytest.raises(DirectionError, match="has 0 to 1"):
        read_directions(path, tiny_generator, image=2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": np.asarray("0" * 16)}, "measured on another model"),
        ({"directions": unit_rows(1, 2, 8)}, "width 8; the model's W has 16"),
        ({"directions": np.full((1, 2, WIDTH), np.nan)}, "not finite"),
        ({"directions": np.zeros((1, 2, WIDTH))}, "has no directions"),
        ({"directions": unit_rows(2, WIDTH)}, r"\[n, K, D\] is needed"),
        ({"coordinates": np.asarray("z")}, "directions are of z"),
    ],
)
def test_files_that_do_not_fit(
    tiny_generator: Generator, tmp_path: Path, changes: dict[str, np.ndarray], says: str
) -> None:
    path = lowrank_file(tmp_path / "directions.npz", fingerprint(tiny_generator), **changes)
    with pytest.raises(DirectionError, match=says):
        read_directions(path, tiny_generator)


def test_nothing_is_unpickled(tiny_generator: Generator, tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", np.array([{"code": 1}], dtype=object), allow_pickle=True)
    for name in ("bad.npy", "missing.npz"):
        with pytest.raises(DirectionError, match=r"bad\.npy: not a file|no such file"):
            read_directions(tmp_path / name, tiny_generator)


def test_what_makes_no_edit(tiny_generator: Generator) -> None:
    ws, rows = np.zeros((8, WIDTH), np.float32), unit_rows(2, WIDTH)
    with pytest.raises(MoveError, match="how to edit"):
        ds.edit(tiny_generator, ws)
    with pytest.raises(MoveError, match="give both"):
        ds.edit(tiny_generator, ws, rows)
    with pytest.raises(MoveError, match="layers 0 to 7"):
        ds.edit(tiny_generator, ws, rows, {0: 1.0}, on_layers=(4, 8))
    with pytest.raises(MoveError, match="finite number"):
        ds.edit(tiny_generator, ws, rows, {0: float("inf")})
    with pytest.raises(DirectionError, match="2 directions, 0 to 1"):
        ds.edit(tiny_generator, ws, rows, {2: 1.0})


def test_a_small_model_moves_what_layers_it_has() -> None:
    assert [chosen_layers(None, layers) for layers in (4, 6, 8, 18)] == [(3, 3), (4, 5), (4, 7), (4, 7)]


def test_a_direction_that_does_nothing_in_the_region_is_refused(tiny_generator: Generator) -> None:
    known = Directions(vectors=np.eye(WIDTH), kind="array", source="d")
    with pytest.raises(MoveError, match="direction d:7 does not change the region"):
        direction_move(tiny_generator, known, 7, (4, 7), within=np.zeros_like)


def test_within_a_region_the_rest_changes_less(tiny_generator: Generator) -> None:
    """A direction kept within a region changes that as much as before, and the rest by less."""
    ws = ds.seed_latents(tiny_generator, [3], psi=1.0)[0]
    region = np.zeros((32, 32), bool)
    region[8:20, 6:22] = True
    inside_gram, _ = region_grams(tiny_generator, ws, region, layers=range(4, 8), channels="each")
    direction = np.linalg.eigh(inside_gram)[1][:, -1]
    edited = [ds.edit(tiny_generator, ws, direction, {0: 0.01}, within=within).ws for within in (None, region)]
    start, *images = render_images(tiny_generator, np.stack([ws, *edited]))
    changes = [np.square(each - start).mean(-1) for each in images]
    inside, outside = ([change[where].mean() for change in changes] for where in (region, ~region))
    assert inside[1] == pytest.approx(inside[0], rel=0.05)
    assert outside[1] < 0.5 * outside[0]
