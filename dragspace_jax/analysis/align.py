"""Alignment of two models' W spaces: a map from one's latents to the other's, through PCA coordinates of both.

The claim of DragGANSpace (arXiv 2509.22169) is that such maps carry images and edits from a model of dogs to one of
cats. A latent w [D1] becomes coordinates x = (w − mean1) @ components1ᵀ, these y = x @ matrix + offset, and these the
latent mean2 + y @ components2. What the K1 components do not express of w is dropped: nothing is known of its partner,
and its place in the target is the mean. The map `identity` is for models that share an ancestor, whose W spaces share
their coordinates: it gives w as it is, residual and all.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np

from dragspace_jax.analysis.maps import AffineMap, AlignmentError, affine, cca, check_number, procrustes
from dragspace_jax.arrays import read_arrays_as, write_arrays

Method = Literal["identity", "procrustes", "affine", "cca"]
METHODS: tuple[Method, ...] = get_args(Method)
_ARRAYS = ("mean", "components", "variance")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PCABasis:
    """PCA coordinates of one model's W, in float64.

    Attributes:
      mean: [D].
      components: [K, D], orthonormal.
      variance: [K].
      model: fingerprint of the model, or "" if unknown.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    model: str = ""

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        count, width = self.components.shape if self.components.ndim == 2 else (0, 0)
        if self.mean.shape != (width,) or self.variance.shape != (count,) or count == 0:
            shapes = ", ".join(f"{name} {getattr(self, name).shape}" for name in _ARRAYS)
            raise AlignmentError(f"a basis of {shapes}; it must be [D], [K, D] and [K]")
        if not all(np.isfinite(getattr(self, name)).all() for name in _ARRAYS):
            raise AlignmentError("a basis holds numbers that are not finite; fit it again")

    def truncated(self, components: int) -> Self:
        """The first `components` of them. Raises AlignmentError if there are fewer."""
        if not 1 <= components <= len(self.components):
            raise AlignmentError(f"components is {components}; the basis has {len(self.components)}")
        return dataclasses.replace(self, components=self.components[:components], variance=self.variance[:components])

    def coordinates(self, w: np.ndarray) -> np.ndarray:
        """w [..., D] → [..., K]."""
        return (np.asarray(w, np.float64) - self.mean) @ self.components.T

    def check(self, model: str) -> None:
        """Raises AlignmentError if the basis is known to be of another model than that of this fingerprint."""
        if self.model and self.model != model:
            raise AlignmentError(
                f"the basis is of another model (its fingerprint is {self.model}, this model's {model}); fit it again"
            )


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Alignment:
    """A map from the latents of one model to those of another.

    Attributes:
      method: one of `METHODS`.
      source, target: bases of the two models, K1 and K2 components.
      matrix, offset: [K1, K2] and [K2], the map in coordinates.
      correlations: [k] of the canonical pairs that `cca` keeps; empty otherwise.
    """

    method: Method
    source: PCABasis
    target: PCABasis
    matrix: np.ndarray
    offset: np.ndarray
    correlations: np.ndarray

    def __repr__(self) -> str:
        return f"<Alignment {self.method}: {self.matrix.shape[0]} to {self.matrix.shape[1]} components>"

    def coordinates(self, w: np.ndarray) -> np.ndarray:
        """Latents of the source [..., D1] → coordinates in the target [..., K2]."""
        return self.target.coordinates(self.apply(w))

    def apply(self, w: np.ndarray) -> np.ndarray:
        """Latents of the source [..., D1] (w, or W+ layer by layer) → latents of the target [..., D2], float64."""
        if self.method == "identity":
            return np.array(w, np.float64)
        return (self.source.coordinates(w) @ self.matrix + self.offset) @ self.target.components + self.target.mean

    def displacement(self, moved: np.ndarray) -> np.ndarray:
        """What a change of latents [..., D1] becomes in the target [..., D2]: the linear part of `apply`."""
        if self.method == "identity":
            return np.array(moved, np.float64)
        return np.asarray(moved, np.float64) @ self.source.components.T @ self.matrix @ self.target.components

    def save(self, path: str | Path) -> None:
        """Write the map and both bases as an npz; an interrupted write leaves nothing at `path`."""
        values: dict[str, Any] = {name: getattr(self, name) for name in AffineMap._fields}
        for side, basis in (("source", self.source), ("target", self.target)):
            values |= {f"{side}_{name}": getattr(basis, name) for name in _ARRAYS}
            values[f"{side}_model"] = np.asarray(basis.model)
        # The method's key is that of the first version's files.
        write_arrays(path, {"kind": np.asarray(self.method), **values})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises AlignmentError if the file is not such a map."""
        values = read_arrays_as(path, AlignmentError, what="an alignment", command="dragspace align")
        try:
            source, target = (
                PCABasis(**{name: values[f"{side}_{name}"] for name in _ARRAYS}, model=str(values[f"{side}_model"]))
                for side in ("source", "target")
            )
            matrix, offset, kept = (np.asarray(values[name], np.float64) for name in AffineMap._fields)
            method = _known(str(values["kind"]))
            arrays = {"matrix": matrix, "offset": offset, "correlations": kept}
            return cls(method=method, source=source, target=target, **arrays)._checked()
        except KeyError as error:
            raise AlignmentError(f"{path} is not an alignment: {error} is missing") from error
        except (ValueError, TypeError) as error:
            raise AlignmentError(f"{path} is not an alignment: {error}") from error

    def _checked(self) -> Self:
        """Itself. Raises ValueError if its arrays do not fit each other."""
        shape = (len(self.source.components), len(self.target.components))
        if self.matrix.shape != shape or self.offset.shape != shape[1:] or self.correlations.ndim != 1:
            raise ValueError(f"matrix {self.matrix.shape} and offset {self.offset.shape} do not fit bases of {shape}")
        if not all(np.isfinite(array).all() for array in (self.matrix, self.offset, self.correlations)):
            raise ValueError("it holds numbers that are not finite")
        if self.method == "identity":
            check_widths(len(self.source.mean), len(self.target.mean))
        return self


def fit_alignment(
    method: Method,
    source: PCABasis,
    target: PCABasis,
    from_w: np.ndarray,
    to_w: np.ndarray,
    *,
    canonical: int | None = None,
) -> Alignment:
    """Fit a map on pairs of latents.

    Args:
      method: `identity` (no fit), `procrustes`, `affine` or `cca`; see `maps`.
      source, target: bases of the two models.
      from_w, to_w: [m, D1] and [m, D2], row by row a pair.
      canonical: pairs of canonical variates for `cca`; None: those that correlate well enough.

    Raises:
      AlignmentError: an unknown method, `identity` between W of different widths, latents that do not fit the bases,
        too few pairs, or a degenerate covariance.
    """
    check_fit(method, source, target, len(from_w))
    for name, w, basis in (("source", from_w, source), ("target", to_w, target)):
        if np.ndim(w) != 2 or np.shape(w)[1] != len(basis.mean):
            raise AlignmentError(f"the {name} latents have shape {np.shape(w)}; the basis takes [m, {len(basis.mean)}]")
        if not np.isfinite(w).all():
            raise AlignmentError(f"the {name} latents hold numbers that are not finite; is the model whole?")
    x, y = source.coordinates(from_w), target.coordinates(to_w)
    if method == "identity":
        fitted = AffineMap(
            source.components @ target.components.T, (source.mean - target.mean) @ target.components.T, np.zeros(0)
        )
    elif method == "cca":
        fitted = cca(x, y, canonical)
    else:
        fitted = (procrustes if method == "procrustes" else affine)(x, y)
    return Alignment(method=method, source=source, target=target, **fitted._asdict())


def check_fit(method: str, source: PCABasis, target: PCABasis, pairs: int) -> None:
    """What can be said of a fit before its pairs are drawn. Raises AlignmentError as `fit_alignment` does."""
    if _known(method) == "identity":
        check_widths(len(source.mean), len(target.mean))
    else:
        check_number(pairs, max(len(source.components), len(target.components)))


def check_widths(source: int, target: int) -> None:
    """Raises AlignmentError if latents of these widths have no identity between them."""
    if source != target:
        raise AlignmentError(
            f"the identity needs one W of both models; theirs are {source} and {target} wide: "
            "take procrustes, affine or cca"
        )


def _known(method: str) -> Method:
    for known in METHODS:
        if method == known:
            return known
    raise AlignmentError(f"the map is {method!r}; known are {', '.join(METHODS)}")
