"""What the predictor sees on images of the critters, and how far an alignment keeps it."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from dragspace_jax.analysis.agreement import coarse_and_fine, correlations
from dragspace_jax.checkpoint import ModelCard
from dragspace_jax.critters import KINDS
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.predictor import SIDE, Predictor, load_predictor, predict, predictor_card
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_batches

READABLE = 0.3
"""An attribute is judged if the predictor explains this share of its variance on held-out images of both models."""
_TOGETHER = 256  # images kept between the generator and the predictor


class Seen(NamedTuple):
    """attributes [m, A] and landmarks_yx [m, P, 2], of images."""

    attributes: np.ndarray
    landmarks_yx: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
    """Who looks at the images.

    Attributes:
      predictor: the network.
      source, target: which animal each model draws.
      readable: names of the attributes that it reads well enough to judge by.
    """

    predictor: Predictor
    source: str
    target: str
    readable: tuple[str, ...] = NAMES

    def readable_of(self, seen: Seen) -> np.ndarray:
        """The columns [m, A'] of attributes that are judged."""
        return seen.attributes[:, [NAMES.index(name) for name in self.readable]]

    def see(self, model: Generator, w: np.ndarray) -> Seen:
        """What is on the images of w [m, D], the same in all layers, or of ws [m, L, D]."""
        attributes, landmarks = [], []
        for start in range(0, len(w), _TOGETHER):
            part = np.asarray(w[start : start + _TOGETHER], np.float32)
            ws = part if part.ndim == 3 else every_layer(model, part)
            images = np.concatenate(list(render_batches(model, ws)))
            prediction = predict(self.predictor, images)
            attributes.append(np.asarray(prediction.attributes))
            landmarks.append(np.asarray(prediction.landmarks_yx))
        return Seen(np.concatenate(attributes), np.concatenate(landmarks))


def make_judge(source: ModelCard, target: ModelCard) -> Judge | None:
    """The judge of two models that draw critters at 128 px, by what their config.json says; None for others."""
    kinds = [card.source.get("kind") if card.generator.resolution == SIDE else None for card in (source, target)]
    if not all(kind in KINDS for kind in kinds):
        return None
    source_kind, target_kind = map(str, kinds)
    card = predictor_card()
    shares = [card[f"{kind}, generated"]["attributes_r2"] for kind in (source_kind, target_kind)]
    readable = tuple(name for name in NAMES if min(share[name] for share in shares) >= READABLE)
    return Judge(predictor=load_predictor(), source=source_kind, target=target_kind, readable=readable)


def every_layer(model: Generator, w: np.ndarray) -> np.ndarray:
    """w [m, D] → ws [m, L, D] float32."""
    return np.repeat(np.asarray(w, np.float32)[:, None], model.config.num_ws, axis=1)


def agreement(judge: Judge, source: Seen, target: Seen) -> dict[str, Any]:
    """Correlation of each attribute between two sets of images, row by row, and its means over coarse and fine ones."""
    shares = correlations(judge.readable_of(source), judge.readable_of(target))
    named = {name: float(share) for name, share in zip(judge.readable, shares, strict=True)}
    coarse, fine = coarse_and_fine(named)
    return {"coarse": coarse, "fine": fine, "attributes": named}
