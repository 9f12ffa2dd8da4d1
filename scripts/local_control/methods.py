"""Directions of the study: a region's own, global ones as they are, projected and kept, and those of other images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dragspace_jax.analysis.lowrank import kept_within, null_projection, subspaces
from dragspace_jax.analysis.styles import affine_maps
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.stylegan2 import Generator
from scripts.local_control.regions import EXACT, Region

COMPONENTS = 20  # of a global basis, among which the one with the best ratio in first order is taken
_SHARED = 4  # directions of a subspace whose angle to another's is told


def global_bases(model: Generator, layers: tuple[int, ...]) -> dict[str, np.ndarray]:
    """{method: directions [K, D]} that no image was asked for."""
    components = np.asarray(cached_pca(model).components, np.float64)[:COMPONENTS]
    return {"GANSpace": components, "SeFa": _sefa(model, layers)}


def _sefa(model: Generator, layers: tuple[int, ...]) -> np.ndarray:
    """Eigenvectors of the affine maps of the layers that edits move (SeFa, arXiv 2007.06600, section 3)."""
    layer_of = model.synthesis.layer_of()
    maps = affine_maps(model.synthesis)
    chosen = [maps[name][0] for name in maps if layer_of[name] in layers and not name.endswith("torgb")]
    affine = np.concatenate(chosen, axis=1)
    return np.linalg.eigh(affine @ affine.T)[1].T[::-1][:COMPONENTS]


def own(region: Region, *, rpca: bool) -> dict[str, np.ndarray]:
    """Of the image's own region, in closed form and, as robust PCA takes its time, by choice by that."""
    found: dict[str, np.ndarray] = {}
    for name, grams in (("published measure", region.published[EXACT]), ("as edited", region.edited[EXACT])):
        (closed,) = subspaces([grams])
        found[f"closed form, {name}"] = closed.directions[0]
        if rpca:
            (factored,) = subspaces([grams], solver="rpca")
            if len(factored.directions):
                found[f"LowRankGAN, {name}"] = factored.directions[0]
    found["principal, not projected"] = subspaces([region.edited[EXACT]])[0].principal[0]
    return found


def foreign(region: Region, bases: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Global directions and a random one: as they are, projected onto the rest's null space, kept within the region."""
    inside, rest = region.edited[EXACT]
    chosen = {name: _best(basis, inside, rest) for name, basis in bases.items()}
    chosen["random"] = np.random.RandomState(seed).randn(len(inside))
    project = null_projection(rest)
    found: dict[str, np.ndarray] = {}
    for name, direction in chosen.items():
        found[name] = direction
        found[f"{name}, projected"] = project @ direction
        found[f"{name}, kept"] = kept_within(inside, rest, direction)
    return found


def leaving(region: Region, bases: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Directions that shall leave the region alone, and the rest may change."""
    inside, rest = region.edited[EXACT]
    direction = bases["GANSpace"][0]
    return {
        "GANSpace": direction,
        "GANSpace, in the region's null space": null_projection(inside) @ direction,
        "GANSpace, kept outside": kept_within(rest, inside, direction),
    }


def marked(region: Region) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """{how the region was marked: direction}, and by name the cosine of its subspace to the exact one's, mean."""
    exact = _span(subspaces([region.edited[EXACT]])[0].directions)
    directions, cosines = {}, {}
    for name, grams in region.edited.items():
        (found,) = subspaces([grams])
        directions[f"marked as {name}"] = found.directions[0]
        cosines[name] = float(np.linalg.svd(exact @ _span(found.directions).T, compute_uv=False).mean())
    return directions, cosines


def resemblance(region: Region, direction: np.ndarray, other: np.ndarray) -> float:
    """Cosine of what two directions do to the region, in first order."""
    inside = region.edited[EXACT][0]
    length = np.sqrt((direction @ inside @ direction) * (other @ inside @ other))
    return float(direction @ inside @ other / length) if length > 0 else 0.0


def shared(pairs: list[tuple[np.ndarray, np.ndarray]], counts: tuple[int, ...]) -> dict[str, np.ndarray]:
    """{method: direction} in closed form from the mean matrices of the first images."""
    found = {}
    for count in counts:
        inside, rest = (np.mean([pair[part] for pair in pairs[:count]], 0) for part in (0, 1))
        found[f"closed form of {count} other"] = subspaces([(inside, rest)])[0].directions[0]
    return found


def _span(directions: np.ndarray) -> np.ndarray:
    return np.linalg.svd(directions[:_SHARED], full_matrices=False)[2]


def _best(basis: np.ndarray, inside: np.ndarray, rest: np.ndarray) -> np.ndarray:
    return basis[int(np.argmax([(d @ inside @ d) / (d @ rest @ d) for d in basis]))]
