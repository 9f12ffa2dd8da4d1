"""Landmarks and attributes of images of critters, by the predictor: how an edit or an alignment is evaluated.

One evaluator serves the study of drags and the alignment of models. Images are rendered and predicted in batches of one
compiled shape each, however few there are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np

from dragspace_jax.checkpoint import ModelCard
from dragspace_jax.critters.attributes import KINDS, NAMES
from dragspace_jax.critters.predictor import SIDE, Predictor, load_predictor, predict, predictor_card
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_batches

RELIABLE = 0.3
"""An attribute is reliable if the predictor explains this share of its variance on held-out images of a generator."""
_TOGETHER = 256  # images kept between the generator and the predictor
_LEAST = 16  # latents rendered at once; fewer are filled up, so that no other shape is compiled


class Predictions(NamedTuple):
    """Of m images: attributes [m, A] in the units of ATTRIBUTES, landmarks_yx [m, P, 2] in pixels, as LANDMARKS."""

    attributes: np.ndarray
    landmarks_yx: np.ndarray

    def landmark(self, indices: np.ndarray | list[int]) -> np.ndarray:
        """One landmark an image: indices [m] into LANDMARKS → [m, 2] (y, x) px."""
        return self.landmarks_yx[np.arange(len(self.landmarks_yx)), indices]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Predicts attributes and landmarks of images.

    Attributes:
      predictor: the network.
      reliable: names of the attributes that it predicts well enough to evaluate by.
    """

    predictor: Predictor
    reliable: tuple[str, ...] = NAMES

    @classmethod
    def load(cls, *species: str) -> Self:
        """The embedded predictor, for images of generators of these species (`dog`, `cat`).

        An attribute is reliable where it is so for all of them.
        """
        card = predictor_card()
        shares = [card[f"{each}, generated"]["attributes_r2"] for each in species]
        reliable = tuple(name for name in NAMES if all(share[name] >= RELIABLE for share in shares))
        return cls(predictor=load_predictor(), reliable=reliable)

    @property
    def unreliable(self) -> list[str]:
        """Names of the other attributes."""
        return [name for name in NAMES if name not in self.reliable]

    def predict(self, images: np.ndarray) -> Predictions:
        """Predictions of images [m, 128, 128, 3] in [-1, 1], not clipped. Raises PredictorError as `predict` does."""
        found = predict(self.predictor, images)
        return Predictions(np.asarray(found.attributes), np.asarray(found.landmarks_yx))

    def predict_latents(
        self, model: Generator, ws: np.ndarray, on_progress: Callable[[int], None] | None = None
    ) -> Predictions:
        """Predictions of the images of ws [m, L, D]; on_progress takes the number of images that have been added."""
        parts = []
        for start in range(0, len(ws), _TOGETHER):
            part = np.asarray(ws[start : start + _TOGETHER], np.float32)
            filled = np.concatenate([part, np.repeat(part[-1:], max(0, _LEAST - len(part)), axis=0)])
            images = np.concatenate(list(render_batches(model, filled)))[: len(part)]
            parts.append(self.predict(images))
            if on_progress is not None:
                on_progress(len(part))
        return Predictions(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def reliable_attributes(self, predictions: Predictions) -> np.ndarray:
        """The reliable columns [m, A'] of the attributes, in the order of `reliable`."""
        return predictions.attributes[:, [NAMES.index(name) for name in self.reliable]]


def species_of(card: ModelCard, label: int | None = None) -> str | None:
    """The species that a model draws, as its config.json says; None for models of anything else or not of 128 px.

    Of a model that draws several, the class `label` is meant, and without one the first.
    """
    kinds = card.source.get("kinds")
    number = label or 0
    species = card.source.get("kind")
    if isinstance(kinds, list) and 0 <= number < len(kinds):
        species = kinds[number]
    return species if card.generator.resolution == SIDE and species in KINDS else None
