"""Maps between coordinates against known rotations and independent formulas; latents, files and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dragspace_jax.analysis.align import METHODS, Alignment, PCABasis, fit_alignment
from dragspace_jax.analysis.maps import AlignmentError, affine, cca, procrustes

RANDOM = np.random.default_rng(0)


def orthonormal(count: int, width: int, seed: int = 1) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, count)))[0].T


def basis(count: int, width: int, seed: int = 1, model: str = "") -> PCABasis:
    mean, variance = np.random.default_rng(seed).standard_normal(width), np.arange(count, 0.0, -1)
    return PCABasis(mean=mean, components=orthonormal(count, width, seed), variance=variance, model=model)


@pytest.fixture
def noisy() -> tuple[np.ndarray, np.ndarray]:
    """Pairs with correlations of all sizes: x [400, 5], y [400, 4]."""
    x = RANDOM.standard_normal((400, 5)) @ RANDOM.standard_normal((5, 5)) + 2.0
    y = x @ RANDOM.standard_normal((5, 4)) + RANDOM.standard_normal((400, 4)) * np.array([0.1, 1.0, 5.0, 20.0])
    return x, y - 3.0


def test_procrustes_recovers_a_rotation_a_scale_and_a_shift() -> None:
    x = RANDOM.standard_normal((200, 6)) * np.arange(1.0, 7.0)
    rotation = orthonormal(6, 6)
    fitted = procrustes(x, 2.5 * x @ rotation + 7.0)
    np.testing.assert_allclose(fitted.matrix, 2.5 * rotation, atol=1e-10)
    np.testing.assert_allclose(fitted.offset, 7.0, atol=1e-10)


@pytest.mark.parametrize("widths", [(6, 4), (4, 6)])
def test_procrustes_between_unequal_numbers_of_coordinates_keeps_angles(widths: tuple[int, int]) -> None:
    x, y = (RANDOM.standard_normal((50, width)) for width in widths)
    matrix = procrustes(x, y).matrix
    gram = matrix @ matrix.T if widths[0] < widths[1] else matrix.T @ matrix
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(min(widths)), atol=1e-10)


def test_affine_is_least_squares(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = noisy
    fitted = affine(x, y)
    with_constant = np.concatenate([x, np.ones((len(x), 1))], 1)
    normal = np.linalg.solve(with_constant.T @ with_constant, with_constant.T @ y)
    np.testing.assert_allclose(fitted.matrix, normal[:-1], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fitted.offset, normal[-1], rtol=1e-6, atol=1e-8)


def test_canonical_correlations_are_those_of_the_generalised_eigenproblem(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = noisy
    covariance = np.cov(x.T, y.T)
    xx, xy, yy = covariance[:5, :5], covariance[:5, 5:], covariance[5:, 5:]
    squared = np.linalg.eigvals(np.linalg.solve(yy, xy.T) @ np.linalg.solve(xx, xy)).real
    np.testing.assert_allclose(cca(x, y, 4).correlations ** 2, np.sort(squared)[::-1], rtol=1e-8)


def test_cca_with_all_pairs_is_least_squares_and_with_some_it_is_of_their_rank(
    noisy: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = noisy
    for mine, theirs in zip(cca(x, y, 4), affine(x, y), strict=True):
        if len(theirs):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8)
    by_default = cca(x, y)
    assert np.linalg.matrix_rank(by_default.matrix) == len(by_default.correlations) < 4
    assert (by_default.correlations >= 0.5).all()


def test_latents_go_through_both_bases() -> None:
    source, target = basis(4, 7, 1), basis(3, 5, 2)
    x = RANDOM.standard_normal((60, 4))
    y = x @ RANDOM.standard_normal((4, 3)) + 1.0
    from_w, to_w = x @ source.components + source.mean, y @ target.components + target.mean
    fitted = fit_alignment("affine", source, target, from_w, to_w)
    np.testing.assert_allclose(fitted.apply(from_w), to_w, atol=1e-9)
    np.testing.assert_allclose(fitted.coordinates(from_w), y, atol=1e-9)
    layers = RANDOM.standard_normal((3, 6, 7))
    assert fitted.apply(layers).shape == (3, 6, 5)
    moved = fitted.apply(layers + 0.5) - fitted.apply(layers)
    np.testing.assert_allclose(fitted.displacement(np.full((3, 6, 7), 0.5)), moved, atol=1e-12)
    outside = np.linalg.svd(source.components)[2][-1]  # what the components do not express is dropped
    np.testing.assert_allclose(fitted.apply(from_w + outside), to_w, atol=1e-9)


def test_the_identity_leaves_latents_as_they_are() -> None:
    source, target = basis(3, 6, 1), basis(2, 6, 2)
    w = RANDOM.standard_normal((4, 6))
    same = fit_alignment("identity", source, target, w, w)
    np.testing.assert_array_equal(same.apply(w), w)
    np.testing.assert_array_equal(same.displacement(w), w)
    within = source.coordinates(w) @ source.components + source.mean
    np.testing.assert_allclose(same.coordinates(within), source.coordinates(w) @ same.matrix + same.offset, atol=1e-12)
    with pytest.raises(AlignmentError, match="6 and 5 wide: take procrustes"):
        fit_alignment("identity", source, basis(2, 5), w, w[:, :5])


@pytest.mark.parametrize("method", METHODS)
def test_a_map_is_kept(tmp_path: Path, method: str) -> None:
    source, target = basis(3, 6, 1, "abc"), basis(2, 6, 2, "def")
    from_w, to_w = (RANDOM.standard_normal((40, 6)) for _ in range(2))
    fitted = fit_alignment(method, source, target, from_w, to_w)  # type: ignore[arg-type]
    fitted.save(tmp_path / "deep" / "map.npz")
    again = Alignment.load(tmp_path / "deep" / "map.npz")
    assert again.method == method
    np.testing.assert_array_equal(again.apply(from_w), fitted.apply(from_w))
    np.testing.assert_array_equal(again.correlations, fitted.correlations)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["map.npz"]
    again.source.check("abc")
    with pytest.raises(AlignmentError, match=r"of another model.*def, this model's abc"):
        again.target.check("abc")


def test_files_that_are_no_maps(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    with pytest.raises(AlignmentError, match="does not exist"):
        Alignment.load(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(AlignmentError, match=r"not an alignment: .*(cannot be read|holds one array)"):
        Alignment.load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(AlignmentError, match=r"not an alignment: .*(cannot be read|holds one array)"):
        Alignment.load(path)
    np.savez(path, kind=np.asarray("affine"))
    with pytest.raises(AlignmentError, match="source_mean' is missing"):
        Alignment.load(path)
    w = RANDOM.standard_normal((9, 5))
    fit_alignment("affine", basis(3, 5), basis(2, 5), w, w).save(path)
    for name, value, message in (
        ("matrix", np.zeros((2, 2)), "do not fit bases"),
        ("offset", np.array([np.nan, 0.0]), "not finite"),
        ("kind", np.asarray("magic"), "the map is 'magic'"),
        ("source_mean", np.zeros(4), r"mean \(4,\)"),
    ):
        with np.load(path) as stored:
            np.savez(tmp_path / "broken.npz", **{**stored, name: value})
        with pytest.raises(AlignmentError, match=message):
            Alignment.load(tmp_path / "broken.npz")


@pytest.mark.parametrize("method", ["procrustes", "affine", "cca"])
def test_bad_pairs(method: str) -> None:
    source, target = basis(4, 6, 1), basis(3, 6, 2)
    w = RANDOM.standard_normal((20, 6))

    def fit(from_w: np.ndarray, to_w: np.ndarray, **extra: int) -> Alignment:
        return fit_alignment(method, source, target, from_w, to_w, **extra)  # type: ignore[arg-type]

    with pytest.raises(AlignmentError, match="4 pairs are too few for 4 coordinates; give at least 5"):
        fit(w[:4], w[:4])
    flat = w @ (np.eye(6) - source.components.T[:, :1] @ source.components[:1])
    with pytest.raises(AlignmentError, match="source coordinates is degenerate: the pairs vary in 3 of 4"):
        fit(flat, w)
    with pytest.raises(AlignmentError, match="vary in 0 of 4 directions; give pairs that differ"):
        fit(np.ones((20, 6)), w)
    with pytest.raises(AlignmentError, match="not finite"):
        fit(np.where(w > 0, np.inf, w), w)
    with pytest.raises(AlignmentError, match=r"the target latents have shape \(20, 5\); the basis takes \[m, 6\]"):
        fit(w, w[:, :5])
    with pytest.raises(AlignmentError, match=r"\(20, 4\) and \(19, 3\)"):
        fit(w, w[1:])


def test_bad_settings() -> None:
    w = RANDOM.standard_normal((20, 6))
    with pytest.raises(AlignmentError, match="'rotation'; known are identity, procrustes, affine, cca"):
        fit_alignment("rotation", basis(2, 6), basis(2, 6), w, w)  # type: ignore[arg-type]
    with pytest.raises(AlignmentError, match="canonical pairs is 3; these coordinates have 1 to 2"):
        fit_alignment("cca", basis(2, 6), basis(4, 6), w, w, canonical=3)
    with pytest.raises(AlignmentError, match="components is 5; the basis has 4"):
        basis(4, 6).truncated(5)
    with pytest.raises(AlignmentError, match="not finite; fit it again"):
        PCABasis(mean=np.full(3, np.nan), components=np.eye(3), variance=np.ones(3))
