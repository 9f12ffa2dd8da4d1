"""Parts of a critter on its picture: what `--segment` names on the embedded models.

They are the predictor's segmentation of the picture itself, which needs neither the kind nor the renderer. On 32
generated pictures each of the dog and the cat it matches the world's with an intersection over union of 0.78 (a cat's
mouth) to 0.99; a drawing of the attributes that it predicts has 0.85 to 0.99.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int32
from numpy.typing import ArrayLike

from dragspace_jax.biggan import BigGAN, BigGANLatents
from dragspace_jax.critters.predictor import SIDE, Predictor, load_predictor, predict
from dragspace_jax.critters.renderer import SEGMENTS
from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks.rendering import Renders, render_images
from dragspace_jax.stylegan2 import Generator, Latents

GROUPS = {
    "eye": ("eye_left", "eye_right"),
    "ear": ("ear_left", "ear_right"),
    "face": ("head", "eye_left", "eye_right", "muzzle", "mouth", "nose"),
}
"""{group: its segments}; the face is the head without its ears. Left and right are the picture's."""
_PAIRS = {part: group for group in ("eye", "ear") for part in GROUPS[group]}


class SegmentError(DragspaceError):
    """A segment that is not known, not on the picture, or of a model whose pictures nothing here reads."""

    def __init__(self, message: str, *, field: str = "segment") -> None:
        super().__init__(message, field=field)


def check_names(names: Sequence[str]) -> None:
    """Raises SegmentError if a name is neither a segment nor a group, or if there is none."""
    if not names:
        raise SegmentError(f"segment names none; {_known()}")
    for name in names:
        if name not in SEGMENTS and name not in GROUPS:
            raise SegmentError(f"segment {name!r} is not known; {_known()}")


def named_region(segmentation: Int32[np.ndarray, "H W"], names: Sequence[str]) -> Bool[np.ndarray, "H W"]:
    """The pixels of the segments and groups that are named, all together.

    Args:
      segmentation: indices into SEGMENTS.
      names: of segments and groups.

    Raises:
      SegmentError: a name is not known, or nothing of it is on the picture.
    """
    check_names(names)
    region = np.zeros(segmentation.shape, bool)
    for name in names:
        part = np.isin(segmentation, [SEGMENTS.index(each) for each in GROUPS.get(name, (name,))])
        if not part.any():
            shown = ", ".join(SEGMENTS[index] for index in np.unique(segmentation))
            raise SegmentError(f"segment {name!r} is not seen on the picture; there are {shown}")
        region |= part
    return region


def seen_segments(model: Renders, latents: Latents | BigGANLatents) -> Int32[np.ndarray, "n H W"]:
    """What the predictor sees on the pictures of n latents: indices into SEGMENTS.

    Args:
      model: a generator of critters at 128 px (`evaluator.species_of`); of others the answer means nothing.
      latents: of n pictures.

    Raises:
      SegmentError: the model's images are of another size.
    """
    if model.config.resolution != SIDE:
        raise SegmentError(
            f"segment: pictures of {model.config.resolution} px are not read here, those of critters at {SIDE} px are; "
            "give a label map as `segments`, or a `region`",
            field="segment segments region",
        )
    return predict(_predictor(), render_images(model, latents)).segmentation


@dataclasses.dataclass(frozen=True)
class CritterRegions:
    """Regions of critters' images, as `analysis.channels` asks for them: segments, both sides of a pair as one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the regions."""
        return tuple(dict.fromkeys(_PAIRS.get(name, name) for name in SEGMENTS))

    def __call__(self, images: Float[np.ndarray, "n H W 3"]) -> Int32[np.ndarray, "n H W"]:
        """Images in [−1, 1] → indices of names. Raises PredictorError: images that the predictor does not read."""
        index = np.array([self.names.index(_PAIRS.get(name, name)) for name in SEGMENTS], np.int32)
        return index[predict(_predictor(), images).segmentation]


def segment_region(
    model: Generator | BigGAN, latents: Latents | BigGANLatents | ArrayLike, names: str | Sequence[str]
) -> Bool[np.ndarray, "H W"]:
    """Where segments are on one image of `critters-dog` or `critters-cat`, as `EditRequest(region=…)` takes it.

    Args:
      model: the generator; of one that draws something else the answer means nothing.
      latents: the image's: ws [L, D] or [1, L, D], `Latents`, or of a BigGAN `BigGANLatents`.
      names: one or several of `critters.SEGMENTS` and of the groups `eye`, `ear` and `face`.

    Raises:
      SegmentError: a name is not known or not on the picture, or the images are not of 128 px.
      LatentsError: latents that do not fit the model.
    """
    names = [names] if isinstance(names, str) else list(names)
    check_names(names)
    given: Any = latents  # of the family that the model is of, or it says so
    one = jax.tree.map(lambda leaf: leaf[None], model.check_latents(given))
    return named_region(seen_segments(model, one)[0], names)


def _known() -> str:
    groups = ", ".join(f"{group} ({', '.join(parts)})" for group, parts in GROUPS.items())
    return f"segments are {', '.join(SEGMENTS)}; groups are {groups}"


@cache
def _predictor() -> Predictor:
    return load_predictor()
