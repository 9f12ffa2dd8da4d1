"""Pairs of latents of two models, to fit an alignment on and to judge it by: of one z, or matched by what is seen."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.analysis.pairing import MOST, match
from dragspace_jax.cli.align_judge import Judge
from dragspace_jax.cli.errors import UserError
from dragspace_jax.spaces.fit import BATCH, draw
from dragspace_jax.stylegan2 import Generator

PairKind = Literal["z", "attributes"]
DEFAULT_SAMPLES: dict[PairKind, int] = {"z": 20_000, "attributes": 4_000}

_draw = jax.jit(draw)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs:
    """Rows are pairs.

    Attributes:
      source, target: [m, D1] and [m, D2] float32, to fit on.
      held_source, held_target: likewise, to judge by.
      distance: root mean square difference of a fitted pair's standardised attributes; None for pairs of one z.
    """

    source: np.ndarray
    target: np.ndarray
    held_source: np.ndarray
    held_target: np.ndarray
    distance: float | None = None


def check_pair_kind(
    kind: PairKind, source: Generator, target: Generator, counts: tuple[int, int], judge: Judge | None
) -> None:
    """Raises UserError where the two models, or pairs of these counts (to fit on, to judge by), cannot be paired so."""
    widths = source.config.z_dim, target.config.z_dim
    if kind == "z" and widths[0] != widths[1]:
        raise UserError(
            f"--pairs z: the two models take z of {widths[0]} and {widths[1]} numbers, so none is common to both; "
            "take --pairs attributes"
        )
    if kind == "attributes" and judge is None:
        raise UserError("--pairs attributes needs the predictor, which knows models of critters at 128 px only")
    if kind == "attributes" and judge is not None and not judge.readable:
        raise UserError("--pairs attributes: the predictor's weights read no attribute well; take --pairs z")
    for option, count in zip(("--samples", "--held-out"), counts, strict=True):
        if kind == "attributes" and count > MOST:
            raise UserError(f"{option} {count}: at most {MOST} can be matched by attributes")


def sample_w(model: Generator, count: int, seed: int, label: np.ndarray | None) -> np.ndarray:
    """w [count, D] float32 of the latents that a seed names."""
    c = None if label is None else jnp.asarray(label[0])
    batches = [np.asarray(_draw(model.mapping, seed, index, c)) for index in range(-(-count // BATCH))]
    return np.concatenate(batches)[:count]


def make_pairs(
    kind: PairKind,
    source: Generator,
    target: Generator,
    labels: tuple[np.ndarray | None, np.ndarray | None],
    *,
    samples: int,
    held_out: int,
    seed: int,
    judge: Judge | None,
) -> Pairs:
    """`samples` pairs to fit on and `held_out` others; those matched by attributes are matched within each part."""
    count = samples + held_out
    if kind == "z":
        first, second = (
            sample_w(model, count, seed, label) for model, label in zip((source, target), labels, strict=True)
        )
        return Pairs(
            source=first[:samples], target=second[:samples], held_source=first[samples:], held_target=second[samples:]
        )
    assert judge is not None  # check_pair_kind has seen to it
    first = sample_w(source, count, seed, labels[0])
    second = sample_w(target, count, seed + 1, labels[1])
    seen = [judge.readable_of(judge.see(model, w)) for model, w in ((source, first), (target, second))]
    fitted = match(seen[0][:samples], seen[1][:samples])
    held = match(seen[0][samples:], seen[1][samples:])
    return Pairs(
        source=first[:samples],
        target=second[:samples][fitted.columns],
        held_source=first[samples:],
        held_target=second[samples:][held.columns],
        distance=float(np.sqrt(np.mean(np.square(fitted.distance)))),
    )
