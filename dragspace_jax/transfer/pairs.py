"""Pairs of latents of two models, to fit an alignment on and to evaluate it by: of one z, or of similar attributes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from dragspace_jax.analysis.pairing import MOST, match
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.transfer.errors import TransferError
from dragspace_jax.transfer.latents import every_layer, sample_w

Pairing = Literal["z", "attributes"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)
DEFAULT_SAMPLES: dict[Pairing, int] = {"z": 20_000, "attributes": 4_000}
Labels = tuple[np.ndarray | None, np.ndarray | None]
"""One-hot labels [1, c_dim] of the source and the target; None for a model without classes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs:
    """Rows are pairs.

    Attributes:
      source, target: [m, D1] and [m, D2] float32, to fit on.
      held_source, held_target: likewise, to evaluate by.
      distance: root mean square difference of a fitted pair's standardised attributes; None for pairs of one z.
    """

    source: np.ndarray
    target: np.ndarray
    held_source: np.ndarray
    held_target: np.ndarray
    distance: float | None = None


def check_pairing(
    pairing: Pairing, source: Generator, target: Generator, evaluator: Evaluator | None, *, samples: int, held_out: int
) -> None:
    """Raises TransferError where the two models, or so many pairs to fit on and to evaluate by, cannot be paired so."""
    for name, count in (("samples", samples), ("held_out", held_out)):
        if count < 2:
            raise TransferError(f"{name} {count}: give 2 pairs or more", field=name)
        if pairing == "attributes" and count > MOST:
            raise TransferError(f"{name} {count}: at most {MOST} can be matched by attributes", field=name)
    widths = source.config.z_dim, target.config.z_dim
    if pairing == "z" and widths[0] != widths[1]:
        raise TransferError(
            f"pairs z: the two models take z of {widths[0]} and {widths[1]} numbers, so none is common to both; "
            "take pairs attributes",
            field="pairs",
        )
    if pairing == "attributes" and evaluator is None:
        raise TransferError(
            "pairs attributes needs the predictor, which knows models of critters at 128 px only", field="pairs"
        )
    if pairing == "attributes" and evaluator is not None and not evaluator.reliable:
        raise TransferError(
            "pairs attributes: the predictor predicts no attribute reliably; take pairs z", field="pairs"
        )


def make_pairs(
    pairing: Pairing,
    source: Generator,
    target: Generator,
    labels: Labels,
    evaluator: Evaluator | None,
    *,
    samples: int,
    held_out: int,
    seed: int,
    on_images: Callable[[int], None] | None = None,
) -> Pairs:
    """`samples` pairs to fit on and `held_out` others; those of attributes are matched within each part.

    on_images takes the number of images that have been added to those evaluated.
    """
    count = samples + held_out
    if pairing == "z":
        first, second = (
            sample_w(model, count, seed, label) for model, label in zip((source, target), labels, strict=True)
        )
        return Pairs(
            source=first[:samples], target=second[:samples], held_source=first[samples:], held_target=second[samples:]
        )
    assert evaluator is not None  # check_pairing has seen to it
    first = sample_w(source, count, seed, labels[0])
    second = sample_w(target, count, seed + 1, labels[1])
    ours, theirs = (
        evaluator.reliable_attributes(evaluator.predict_latents(model, every_layer(model, w), on_images))
        for model, w in ((source, first), (target, second))
    )
    fitted = match(ours[:samples], theirs[:samples])
    held = match(ours[samples:], theirs[samples:])
    return Pairs(
        source=first[:samples],
        target=second[:samples][fitted.columns],
        held_source=first[samples:],
        held_target=second[samples:][held.columns],
        distance=float(np.sqrt(np.mean(np.square(fitted.distance)))),
    )
