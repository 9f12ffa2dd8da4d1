"""Reads landmarks, segmentation and attributes off a picture of a critter: the judge of what an edit did.

A small network for both kinds, trained on the renderer alone (`scripts/train_predictor.py`), so that pictures which a
generator made are judged by what the world looks like. Landmarks are expectations over a heat map (integral
regression, arXiv 1711.08229), which is finer than its grid; attributes are read off features gathered by the same
heat maps, off the landmarks, and off patches of the picture itself around eyes and mouth, for which the maps of 32 px
are too coarse.
"""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dragspace_jax.arrays import UnreadableArrays, read_arrays
from dragspace_jax.critters.attributes import ATTRIBUTES
from dragspace_jax.critters.renderer import LANDMARKS, SEGMENTS
from dragspace_jax.errors import DragspaceError

SIDE = 128
"""Side in pixels of the pictures it reads."""
CELL = 4  # px of the picture under one cell of the heat maps
_BATCH = 32
_HIDDEN = 128
_WHOLE = 112  # channels of the maps of 8 px
_MAPS = 40  # channels of the last maps
PATCH = 24  # samples along a side of a patch
_PATCH_FEATURES = 32
_MOUTH = ("mouth_left", "mouth_right", "lip_top", "lip_bottom")
PATCHES = ((("eye_left",), 1.0), (("eye_right",), 1.0), (_MOUTH, 1.5))
"""Landmarks whose mean is the middle of a patch, and pixels from sample to sample."""


class PredictorError(DragspaceError):
    """Pictures that the predictor does not read, or weights that are not its own."""


class Prediction(NamedTuple):
    """landmarks_yx [B, P, 2] in pixels, in the order of LANDMARKS; segmentation [B, H, W] int32, indices into
    SEGMENTS; attributes [B, A] in the units of ATTRIBUTES."""

    landmarks_yx: np.ndarray
    segmentation: np.ndarray
    attributes: np.ndarray


class Reading(NamedTuple):
    """What the network gives: landmarks_yx [B, P, 2] in pixels, logits [B, 64, 64, segments], attributes [B, A] with
    their ranges mapped to [-1, 1]."""

    landmarks_yx: jax.Array
    logits: jax.Array
    attributes: jax.Array


def _convolution(inputs: int, outputs: int, rngs: nnx.Rngs, *, side: int = 3, stride: int = 1) -> nnx.Conv:
    return nnx.Conv(inputs, outputs, (side, side), strides=(stride, stride), rngs=rngs)


class Head(nnx.Module):
    """What a predictor has seen [B, F] → attributes [B, A], their ranges mapped to [-1, 1]."""

    def __init__(self, seen: int, *, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(seen, _HIDDEN, rngs=rngs)
        self.deeper = nnx.Linear(_HIDDEN, _HIDDEN, rngs=rngs)
        self.attributes = nnx.Linear(_HIDDEN, len(ATTRIBUTES), rngs=rngs)

    def __call__(self, seen: jax.Array) -> jax.Array:
        return self.attributes(jax.nn.silu(self.deeper(jax.nn.silu(self.hidden(seen)))))


class Predictor(nnx.Module):
    """An hourglass from 64 px over 8 px to 32 px, with a head for each question."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.stem = _convolution(12, 24, rngs)
        self.down32, self.at32 = _convolution(24, 40, rngs, stride=2), _convolution(40, 40, rngs)
        self.down16, self.at16 = _convolution(40, 80, rngs, stride=2), _convolution(80, 80, rngs)
        self.down8, self.at8 = _convolution(80, _WHOLE, rngs, stride=2), _convolution(_WHOLE, _WHOLE, rngs)
        self.narrow16, self.up16 = _convolution(_WHOLE, 80, rngs, side=1), _convolution(80, 80, rngs)
        self.narrow32, self.up32 = _convolution(80, 40, rngs, side=1), _convolution(40, 40, rngs)
        self.last = _convolution(40, _MAPS, rngs)
        self.heat = _convolution(_MAPS, len(LANDMARKS), rngs, side=1)
        self.segments = _convolution(_MAPS, 4 * len(SEGMENTS), rngs, side=1)
        self.patch12, self.patch6 = _convolution(12, 24, rngs), _convolution(24, 48, rngs, stride=2)
        self.patch3 = _convolution(48, 48, rngs, stride=2)
        self.eye = nnx.Linear(9 * 48, _PATCH_FEATURES, rngs=rngs)
        self.mouth = nnx.Linear(9 * 48, _PATCH_FEATURES, rngs=rngs)
        gathered = _WHOLE + len(LANDMARKS) * _MAPS
        self.level = nnx.LayerNorm(gathered, rngs=rngs)  # these features are large; without it the head goes dead
        others = len(PATCHES) * _PATCH_FEATURES + 2 * len(LANDMARKS) + 3 * (len(LANDMARKS) + 16)
        self.head = Head(gathered + others, rngs=rngs)

    def __call__(self, images: jax.Array) -> Reading:
        """images [B, 128, 128, 3] in [-1, 1] → a reading."""
        landmarks, logits, seen = self.look(images)
        return Reading(landmarks, logits, self.head(seen))

    def look(self, images: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """images [B, 128, 128, 3] → landmarks and logits as in `Reading`, and what attributes are read off [B, F]."""
        count = images.shape[0]
        x = images.reshape(count, 64, 2, 64, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(count, 64, 64, 12)
        x = jax.nn.silu(self.stem(x))
        x32 = jax.nn.silu(self.down32(x))
        x32 = x32 + jax.nn.silu(self.at32(x32))
        x16 = jax.nn.silu(self.down16(x32))
        x16 = x16 + jax.nn.silu(self.at16(x16))
        x8 = jax.nn.silu(self.down8(x16))
        x8 = x8 + jax.nn.silu(self.at8(x8))
        x = x16 + _doubled(self.narrow16(x8))
        x = x + jax.nn.silu(self.up16(x))
        x = x32 + _doubled(self.narrow32(x))
        x = x + jax.nn.silu(self.up32(x))
        x = jax.nn.silu(self.last(x))
        heat = jax.nn.softmax(self.heat(x).reshape(count, -1, len(LANDMARKS)), 1)
        centre = jnp.arange(SIDE // CELL, dtype=jnp.float32) * CELL + 0.5 * (CELL - 1)
        places = jnp.stack(jnp.meshgrid(centre, centre, indexing="ij"), -1).reshape(-1, 2)
        landmarks = jnp.einsum("bqp,qd->bpd", heat, places)
        around = jnp.einsum("bqp,bqc->bpc", heat, x.reshape(count, -1, _MAPS))
        gathered = [x8.mean((1, 2)), around.reshape(count, -1)]
        # Hues survive no normalisation: the picture's own colours, at the landmarks and on a grid of 4 × 4.
        small = images.reshape(count, 32, CELL, 32, CELL, 3).mean((2, 4))
        hues = jnp.einsum("bqp,bqc->bpc", heat, small.reshape(count, -1, 3))
        grid = small.reshape(count, 4, 8, 4, 8, 3).mean((2, 4))
        colours = [2.0 * hues.reshape(count, -1), 2.0 * grid.reshape(count, -1)]
        # Landmarks pass the levelling by, in which a tenth of a pixel would drown.
        where = (landmarks.reshape(count, -1) - 0.5 * SIDE) / 16.0
        fine = self._fine(images, jax.lax.stop_gradient(landmarks))
        seen = jnp.concatenate([self.level(jnp.concatenate(gathered, 1)), fine, where, *colours], 1)
        logits = self.segments(x).reshape(count, 32, 32, 2, 2, len(SEGMENTS)).transpose(0, 1, 3, 2, 4, 5)
        return landmarks, logits.reshape(count, 64, 64, len(SEGMENTS)), seen

    def _fine(self, images: jax.Array, landmarks_yx: jax.Array) -> jax.Array:
        """What the patches show [B, F]."""
        count, half = images.shape[0], PATCH // 2
        x = _patches(images, landmarks_yx).reshape(-1, half, 2, half, 2, 3).transpose(0, 1, 3, 2, 4, 5)
        x = jax.nn.silu(self.patch12(x.reshape(-1, half, half, 12)))
        x = jax.nn.silu(self.patch3(jax.nn.silu(self.patch6(x)))).reshape(count, len(PATCHES), -1)
        return jax.nn.silu(jnp.concatenate([self.eye(x[:, 0]), self.eye(x[:, 1]), self.mouth(x[:, 2])], 1))


def _patches(images: jax.Array, landmarks_yx: jax.Array) -> jax.Array:
    """Images [B, 128, 128, 3], landmarks [B, P, 2] px → [B, 3, 24, 24, 3], bilinear; the edge goes on outside."""
    middles = [landmarks_yx[:, [LANDMARKS.index(n) for n in names]].mean(1) for names, _ in PATCHES]
    offsets = (np.arange(PATCH) - 0.5 * (PATCH - 1)) * np.array([[spacing] for _, spacing in PATCHES])
    at = jnp.stack(middles, 1)[..., None] + jnp.asarray(offsets, jnp.float32)[None, :, None]  # [B, 3, 2, 24]
    pixels = jnp.arange(SIDE, dtype=jnp.float32)
    share = jnp.maximum(1.0 - jnp.abs(jnp.clip(at, 0.0, SIDE - 1.0)[..., None] - pixels[None, None, None, None]), 0.0)
    rows = jnp.einsum("bkph,bhwc->bkpwc", share[:, :, 0], images)
    return jnp.einsum("bkqw,bkpwc->bkpqc", share[:, :, 1], rows)


def _doubled(x: jax.Array) -> jax.Array:
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


def scaled_attributes(attributes: jax.Array) -> jax.Array:
    """Attributes [B, A] with their ranges mapped to [-1, 1]."""
    low, high = (jnp.asarray([getattr(a, end) for a in ATTRIBUTES], jnp.float32)[None] for end in ("low", "high"))
    return (attributes - low) / (high - low) * 2.0 - 1.0


def unscaled_attributes(scaled: jax.Array) -> jax.Array:
    """Attributes [B, A] in their units, of `scaled_attributes`."""
    low, high = (jnp.asarray([getattr(a, end) for a in ATTRIBUTES], jnp.float32)[None] for end in ("low", "high"))
    return low + (high - low) * 0.5 * (scaled + 1.0)


def load_predictor(path: str | Path | None = None) -> Predictor:
    """The embedded predictor, or one from an npz that `scripts/train_predictor.py` wrote.

    Raises:
      PredictorError: the file is not such weights.
    """
    place = importlib.resources.files("dragspace_jax.critters") / "weights" / "predictor.npz" if path is None else path
    try:
        values = {name: value.astype(np.float32) for name, value in read_arrays(str(place)).items()}
    except (UnreadableArrays, OSError, ValueError, TypeError) as error:
        raise PredictorError(f"{place} is not the weights of a predictor ({error})") from error
    try:
        return predictor_of(values)
    except ValueError as error:
        raise PredictorError(f"{place} is not the weights of this predictor: {error}") from error


def predictor_of(values: dict[str, np.ndarray]) -> Predictor:
    """The predictor with these parameters by name, as `networks.parameters` names them.

    Raises:
      ValueError: names or shapes differ from its own.
    """
    graph, state = nnx.split(nnx.eval_shape(lambda: Predictor(rngs=nnx.Rngs(0))))
    flat = {".".join(map(str, where)): (where, variable) for where, variable in nnx.to_flat_state(state)}
    if values.keys() != flat.keys() or any(values[n].shape != v.shape for n, (_, v) in flat.items()):
        raise ValueError("names or shapes differ")
    filled = [(where, variable.replace(jnp.asarray(values[name]))) for name, (where, variable) in flat.items()]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def predictor_card() -> dict[str, Any]:
    """The embedded predictor's errors on held-out pictures, as its training measured them."""
    card = importlib.resources.files("dragspace_jax.critters") / "weights" / "predictor.json"
    return json.loads(card.read_text())


@jax.jit
def _read(predictor: Predictor, images: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    reading = predictor(images)
    # A logit is of the pixel at even coordinates, not of the middle of four; `resize` would place it half a pixel off.
    shape, half = (images.shape[0], SIDE, SIDE, len(SEGMENTS)), jnp.full(2, -0.5)
    logits = jax.image.scale_and_translate(reading.logits, shape, (1, 2), jnp.full(2, 2.0), half, "linear")
    attributes = unscaled_attributes(reading.attributes)
    return reading.landmarks_yx, jnp.argmax(logits, -1).astype(jnp.int32), attributes


def predict(predictor: Predictor, images: np.ndarray) -> Prediction:
    """Read pictures [B, 128, 128, 3] in [-1, 1], in batches of one compiled shape.

    Raises:
      PredictorError: pictures of another shape, not floating, not finite, or none.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != (SIDE, SIDE, 3) or not len(images):
        raise PredictorError(f"the pictures have shape {images.shape}; the predictor reads [B, {SIDE}, {SIDE}, 3]")
    if not np.issubdtype(images.dtype, np.floating):
        raise PredictorError(f"the pictures are {images.dtype}; the predictor reads floats in [-1, 1]")
    if not np.isfinite(images).all():
        raise PredictorError("the pictures hold numbers that are not finite; is the model whole?")
    parts = []
    for start in range(0, len(images), _BATCH):
        part = np.asarray(images[start : start + _BATCH], np.float32)
        filled = np.concatenate([part, np.repeat(part[-1:], _BATCH - len(part), 0)])
        parts.append([np.asarray(x)[: len(part)] for x in _read(predictor, jnp.asarray(filled))])
    return Prediction(*(np.concatenate(values) for values in zip(*parts, strict=True)))
