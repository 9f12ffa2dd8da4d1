"""Edits that are moves: along directions of W in some layers, and of single style channels. Pure.

A move is what one unit of an edit adds to latents, and so is made of latents itself: moves add up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike

from dragspace_jax.analysis.directions import Directions, check_directions, of_array, of_basis, read_directions
from dragspace_jax.analysis.styles import StyleStatistics, channel_of, channel_offset, style_statistics
from dragspace_jax.errors import DragspaceError, renamed
from dragspace_jax.spaces import PCA
from dragspace_jax.stylegan2 import Generator, Latents

LAYERS = (4, 7)
"""First and last layer of W+ that a direction moves where nobody says: LowRankGAN's (arXiv 2106.04488)."""
Keeper = Callable[[Float64[np.ndarray, " D"]], Float64[np.ndarray, " D"]]
"""A direction of W → what it does within a region; zero if that is nothing."""
_LARGEST = 1e6


class MoveError(DragspaceError):
    """An edit that is not whole: layers, values or directions that are missing or make no sense."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Move:
    """What one unit of an edit adds.

    Attributes:
      step: ws [L, D], and offsets [C] of the convolutions whose styles are moved.
      name: for sheets.
      unit: what a value counts, short: `sd`, or nothing for multiples of the direction.
    """

    step: Latents
    name: str
    unit: str


def chosen_layers(layers: tuple[int, int] | None, num_ws: int) -> tuple[int, int]:
    """First and last layer that a direction moves, checked; None: `LAYERS`, as far as the model has them.

    Raises:
      MoveError: layers that the model has not.
    """
    if layers is None:
        last = min(LAYERS[1], num_ws - 1)
        return min(LAYERS[0], last), last
    first, last = layers
    if not 0 <= first <= last < num_ws:
        raise MoveError(
            f"on_layers is {first}-{last}; the model has layers 0 to {num_ws - 1} of W+, and the first comes first",
            field="on_layers",
        )
    return first, last


def direction_move(
    model: Generator, directions: Directions, index: int, layers: tuple[int, int], *, within: Keeper | None = None
) -> Move:
    """Direction `index` in layers from the first to the last.

    Args:
      model: the generator.
      directions: of its W.
      index: from 0.
      layers: first and last, checked by `chosen_layers`.
      within: keeps it within a region; it changes that as much as before.

    Raises:
      DirectionError: there is no such direction.
      MoveError: nothing is left of it within the region.
    """
    vector = directions.vector(index)
    if within is not None:
        vector = within(vector)
        if not vector.any():
            raise MoveError(
                f"direction {directions.source}:{index} does not change the region; take another, or a larger region",
                field="direction within",
            )
    ws = np.zeros((model.config.num_ws, model.config.w_dim), np.float32)
    ws[layers[0] : layers[1] + 1] = vector
    return Move(step=Latents(ws=ws), name=f"{directions.source}:{index}", unit=directions.unit)


def channel_move(model: Generator, statistics: StyleStatistics, layer: str | int, index: int) -> Move:
    """One style channel by its deviation over the model's samples. Raises ChannelError."""
    offsets = channel_offset(model, statistics, layer, index)
    ws = np.zeros((model.config.num_ws, model.config.w_dim), np.float32)
    return Move(step=Latents(ws=ws, offsets=offsets), name=f"{next(iter(offsets))}:{index}", unit="sd")


def moved(latents: Latents, moves: Sequence[tuple[Move, float]]) -> Latents:
    """One image's latents with moves by their values added.

    Raises:
      MoveError: a value that is not finite, or beyond a million.
    """
    ws, offsets = np.array(latents.ws, np.float64), {n: np.array(v, np.float64) for n, v in latents.offsets.items()}
    for move, value in moves:
        if not abs(value) <= _LARGEST:
            raise MoveError(f"{move.name}={value:g}: a finite number is needed, such as 2", field="direction channel")
        ws += value * move.step.ws
        for name, offset in move.step.offsets.items():
            offsets[name] = offsets.get(name, 0.0) + value * offset
    return Latents(ws=ws.astype(np.float32), offsets={n: v.astype(np.float32) for n, v in sorted(offsets.items())})


def stacked(latents: Sequence[Latents]) -> Latents:
    """Several images' latents as one, [n, L, D]; in which convolutions that only some of them move stay."""
    blank = {name: np.zeros_like(value) for each in latents for name, value in sorted(each.offsets.items())}
    return Latents.stack([dataclasses.replace(each, offsets={**blank, **each.offsets}) for each in latents])


def at_positions(latents: Latents, moves: Sequence[Move], positions: Sequence[float]) -> Latents:
    """One image's latents at P positions along each of R moves, move by move: [R·P, L, D], offsets [R·P, C]."""
    return stacked([moved(latents, [(move, position)]) for move in moves for position in positions])


def keeper(model: Generator, latents: Latents, region: Bool[np.ndarray, "H W"], layers: tuple[int, int]) -> Keeper:
    """Keeps directions of W, moved in these layers, within a region of one image (`analysis.lowrank.kept_within`).

    Offsets of styles are left out of account.

    Raises:
      RegionError, JacobianError: a region that is empty or all of the image, or latents too far out.
    """
    # With SciPy's linear algebra, which nothing else here needs.
    from dragspace_jax.analysis.local import RegionError, region_grams
    from dragspace_jax.analysis.lowrank import kept_within

    first, last = layers
    try:
        # The mean over RGB, as published, does not see a hue that changes at equal brightness.
        ws = np.asarray(latents.ws)
        inside, rest = region_grams(model, ws, region, layers=range(first, last + 1), channels="each")
    except RegionError as error:
        raise RegionError(renamed(error, {"region": "within"}), field="within") from error
    return partial(kept_within, inside, rest)


def edit(
    model: Generator,
    latents: Latents | ArrayLike,
    directions: Directions | PCA | ArrayLike | str | Path | None = None,
    values: Mapping[int, float] | None = None,
    *,
    on_layers: tuple[int, int] | None = None,
    channels: Mapping[tuple[str | int, int], float] | None = None,
    within: Bool[np.ndarray, "H W"] | None = None,
    label: int | None = None,
) -> Latents:
    """One image's latents moved along directions of W and by style channels, as `dragspace edit` does.

    Args:
      model: the generator.
      latents: where the edit starts: ws [L, D], or `Latents`.
      directions: a file (`read_directions`), a basis of `fit_pca`, or an array [K, D].
      values: {index of a direction, from 0: how far}, in multiples of a direction as it stands, of a basis in standard
        deviations of its components.
      on_layers: first and last layer of W+ that the directions move; None: 4 to 7, or as many as there are.
      channels: {(convolution's name or published number, index): deviations} of style channels.
      within: true where the image may change: directions are kept to what they do there.
      label: class of the samples that channels are measured on, for a model with classes.

    Returns:
      Latents for `render`, for drags, and for further edits.

    Raises:
      MoveError: nothing to do, or layers or values that make no sense.
      DirectionError, ChannelError, LatentsError: what does not fit the model.
    """
    start = model.check_latents(latents)
    if (directions is None) != (values is None):
        raise MoveError("give both `directions` and `values`", field="directions values")
    if not values and not channels:
        raise MoveError("give `directions` and `values`, or `channels`: how to edit", field="directions channels")
    if within is not None and not values:
        raise MoveError("`within` needs a direction, which it keeps there; channels stay as they are", field="within")
    moves: list[tuple[Move, float]] = []
    if directions is not None and values:
        known = _directions(model, directions)
        layers = chosen_layers(on_layers, model.config.num_ws)
        kept = None if within is None else keeper(model, start, within, layers)
        moves += [(direction_move(model, known, k, layers, within=kept), v) for k, v in values.items()]
    if channels:
        for channel in channels:  # before anything is measured
            channel_of(model, *channel)
        statistics = style_statistics(model, label=label)
        moves += [(channel_move(model, statistics, *channel), value) for channel, value in channels.items()]
    return moved(start, moves)


def _directions(model: Generator, given: Directions | PCA | ArrayLike | str | Path) -> Directions:
    if isinstance(given, str | Path):
        return read_directions(given, model)
    if isinstance(given, PCA):
        given = of_basis(given)
    known = given if isinstance(given, Directions) else of_array(np.asarray(given))
    check_directions(known, model)
    return known
