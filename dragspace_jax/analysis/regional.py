"""Directions of a region on images of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy.typing import ArrayLike

from dragspace_jax.analysis.jacobian import Channels
from dragspace_jax.analysis.local import PUBLISHED_SIDE, Coordinates, RegionError, region_grams, region_grams_z
from dragspace_jax.analysis.lowrank import Solver, subspaces
from dragspace_jax.analysis.moves import chosen_layers
from dragspace_jax.analysis.region_file import DirectionsError, RegionDirections
from dragspace_jax.analysis.rpca import ITERATIONS
from dragspace_jax.critters.segments import named_region, seen_segments
from dragspace_jax.inputs import InputError, seed_latents
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.stylegan2 import Generator, Latents, seed_to_z


def lowrank(
    model: Generator,
    *,
    seeds: Sequence[int] | None = None,
    latents: ArrayLike | None = None,
    region: Bool[np.ndarray, "H W"] | Bool[np.ndarray, "n H W"] | None = None,
    segment: str | Sequence[str] | None = None,
    psi: float = 0.7,
    label: int | None = None,
    shared: bool = False,
    coordinates: Coordinates = "w",
    channels: Channels | None = None,
    side: int = PUBLISHED_SIDE,
    layers: Sequence[int] | None = None,
    solver: Solver = "closed",
    directions: int | None = None,
    relax: int = 0,
    weight: float | None = None,
    iterations: int = ITERATIONS,
    on_progress: Callable[[int], None] | None = None,
) -> RegionDirections:
    """Directions that change a region of images and leave the rest of them alone.

    Args:
      model: the generator.
      seeds: of the images, or
      latents: ws [n, L, D] or [L, D].
      region: true inside: one for all images or one for each, as `box_region` makes them, or
      segment: names of segments, seen on each image of the embedded models, as `segment_region` takes them.
      psi, label: of the seeds' images.
      shared: one subspace from the images' mean matrices, instead of one an image.
      coordinates: of the Jacobian, one w for all layers, or z (with seeds, without classes).
      channels: the mean over RGB, or `each` kept apart; None: `mean` by robust PCA, as published, else `each`.
      side: the image is resized to this, if it is larger.
      layers: whose w is moved; None: all by robust PCA, as published, else those that edits move (`chosen_layers`).
      solver, directions, relax, weight, iterations: as `analysis.lowrank.subspaces` takes them.
      on_progress: called with 1 after each image.

    Raises:
      DirectionsError: no images or no region is named, or several ways at once.
      RegionError: a region that does not fit, is empty or all of the image.
      SegmentError: a segment that is not known or not seen.
      JacobianError, FactorError, InputError: what is not finite or out of range.
    """
    if (seeds is None) == (latents is None):
        raise DirectionsError("give either `seeds` or `latents`", field="seeds latents")
    if (region is None) == (segment is None):
        raise DirectionsError("give either `region` or `segment`: where to change", field="region segment")
    if coordinates == "z" and (seeds is None or model.config.c_dim or layers is not None):
        raise DirectionsError(
            "coordinates z need `seeds`, a model without classes, and no choice of layers", field="seeds coordinates"
        )
    if seeds is not None:
        if not len(seeds):
            raise DirectionsError("seeds is empty", field="seeds")
        ws = seed_latents(model, seeds, psi=psi, label=label)
    else:
        ws = _given(model, latents)
    regions = _regions(model, ws, region, segment)
    if channels is None:
        channels = "mean" if solver == "rpca" else "each"
    if layers is None and solver != "rpca":
        first, last = chosen_layers(None, model.config.num_ws)
        layers = range(first, last + 1)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for index, (one, inside) in enumerate(zip(ws, regions, strict=True)):
        if coordinates == "z":
            assert seeds is not None  # checked above
            z = seed_to_z(seeds[index], model.config.z_dim)[0]
            grams = region_grams_z(model, z, inside, psi=psi, side=side, channels=channels, on_progress=on_progress)
        else:
            grams = region_grams(
                model, one, inside, side=side, channels=channels, layers=layers, on_progress=on_progress
            )
        pairs.append(grams)
    if shared:
        pairs = [(np.mean([pair[0] for pair in pairs], 0), np.mean([pair[1] for pair in pairs], 0))]
    found = subspaces(pairs, solver=solver, directions=directions, relax=relax, weight=weight, iterations=iterations)
    return RegionDirections(
        subspaces=found,
        ws=ws,
        regions=regions,
        coordinates=coordinates,
        solver=solver,
        model=fingerprint(model),
    )


def _given(model: Generator, latents: ArrayLike | None) -> Float32[np.ndarray, "n L D"]:
    rows = np.asarray(latents)
    rows = rows[None] if rows.ndim == 2 else rows
    if rows.ndim != 3 or not len(rows):
        raise InputError(f"latents have shape {rows.shape}; [n, L, D] or [L, D] is needed", field="latents")
    return np.stack([model.check_latents(row).ws for row in rows])


def _regions(
    model: Generator,
    ws: Float[np.ndarray, "n L D"],
    region: np.ndarray | None,
    segment: str | Sequence[str] | None,
) -> Bool[np.ndarray, "n H W"]:
    if segment is not None:
        names = [segment] if isinstance(segment, str) else list(segment)
        return np.stack([named_region(seen, names) for seen in seen_segments(model, Latents(ws=ws))])
    given = np.asarray(region)
    if given.ndim == 3 and len(given) != len(ws):
        raise RegionError(f"region is for {len(given)} images; there are {len(ws)}", field="region")
    return np.broadcast_to(given, (len(ws), *given.shape[-2:]))
