"""What the predictor is trained on: drawings of both kinds, how they are softened, what their attributes change."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from rich.progress import Progress

from dragspace_jax.critters import ATTRIBUTES, KINDS, LATENT_DIM, entangle, render
from dragspace_jax.critters.attributes import COLOURS, NAMES
from dragspace_jax.critters.predictor import SIDE, scaled_attributes, unscaled_attributes
from dragspace_jax.stylegan2.mapping import normalise_second_moment

DIFFERENCE = 0.05  # of an attribute whose range is [-1, 1]
OPENINGS = ("eye_opening_left", "eye_opening_right", "mouth_opening")
OPENING_WEIGHT = 3.0
Data = dict[str, np.ndarray]


def attributes_of(count: int, seed: int, *, uniform: float) -> np.ndarray:
    """Attributes [count, A]: as the models have them, geometry and colours of two latents, a share of them uniform."""
    keys = jax.random.split(jax.random.key(seed), 4)
    geometry, colours = (entangle(normalise_second_moment(jax.random.normal(k, (count, LATENT_DIM)))) for k in keys[:2])
    mixed = jnp.where(jnp.asarray([name in COLOURS for name in NAMES])[None], colours, geometry)
    low, high = (jnp.asarray([getattr(a, end) for a in ATTRIBUTES])[None] for end in ("low", "high"))
    flat = low + (high - low) * jax.random.uniform(keys[2], mixed.shape)
    return np.asarray(jnp.where(jax.random.uniform(keys[3], (count, 1)) < uniform, flat, mixed))


def draw(kind: str, attributes: np.ndarray, progress: Progress) -> Data:
    """Pictures of attributes: image uint8, segmentation uint8 at half the side, landmarks, attributes."""
    one = jax.jit(lambda a: jax.tree.map(lambda x: x[0], render(kind, a[None], SIDE)))
    images, segments, landmarks = [], [], []
    for row in progress.track(attributes, description=f"drawing {kind}s"):
        picture = one(jnp.asarray(row))
        images.append(np.asarray(jnp.round((picture.image + 1.0) * 127.5)).astype(np.uint8))
        segments.append(np.asarray(picture.segmentation[::2, ::2]).astype(np.uint8))
        landmarks.append(np.asarray(picture.landmarks_yx))
    return {
        "image": np.stack(images),
        "segment": np.stack(segments),
        "landmark": np.stack(landmarks),
        "attribute": attributes,
        "scaled": np.asarray(scaled_attributes(jnp.asarray(attributes))),
        "kind": np.full(len(attributes), KINDS.index(kind)),
    }


def drawn(work: Path, kind: str, count: int, seed: int, uniform: float) -> Data:
    """`draw`, kept in the work folder."""
    path = work / f"{kind}-{count}-{seed}.npz"
    if not path.exists():
        with Progress() as progress:
            data = draw(kind, attributes_of(count, seed, uniform=uniform), progress)
        np.savez(path.with_suffix(".part.npz"), **data)  # type: ignore[arg-type]
        path.with_suffix(".part.npz").rename(path)
    with np.load(path) as stored:
        return dict(stored)


def as_floats(images: torch.Tensor) -> torch.Tensor:
    """Pictures of bytes in [-1, 1]."""
    return images.float() / 127.5 - 1.0


def softened(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures [B, H, W, 3] blurred, relit and made noisy at random."""
    shape = (len(images), 1, 1, 1)

    def between(low: float, high: float, shape: tuple[int, ...] = shape) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    smooth = images
    for axis in (1, 2):
        inner = smooth.narrow(axis, 1, SIDE - 2)
        sides = smooth.narrow(axis, 0, SIDE - 2) + smooth.narrow(axis, 2, SIDE - 2)
        ends = smooth.narrow(axis, 0, 1), smooth.narrow(axis, SIDE - 1, 1)
        smooth = torch.cat([ends[0], 0.5 * inner + 0.25 * sides, ends[1]], axis)
    images = torch.lerp(images, smooth, between(0.0, 1.0))
    images = images * between(0.96, 1.04) + between(-0.03, 0.03, (len(images), 1, 1, 3))
    noise = torch.randn(images.shape, generator=generator)
    return (images + between(0.0, 0.04) * noise).clamp_(-1.0, 1.0)


def picture_change(work: Path, count: int = 24) -> np.ndarray:
    """What an error of attributes changes in a picture, [A, A]: its squared error is e · M · e for small errors e.

    The mean over drawings of both kinds, by central differences; e is of attributes whose ranges are mapped to [-1, 1].
    It is kept in the work folder.
    """
    path = work / f"change-{count}.npy"
    if path.exists():
        return np.load(path)
    products = []
    for kind in KINDS:
        one = jax.jit(lambda row, k=kind: render(k, unscaled_attributes(row[None]), SIDE // 2).image.reshape(-1))
        for row in np.asarray(scaled_attributes(jnp.asarray(attributes_of(count, 5, uniform=0.33)))):
            ways = DIFFERENCE * np.eye(len(row), dtype=np.float32)
            change = np.stack([np.asarray(one(row + way) - one(row - way)) for way in ways]) / (2.0 * DIFFERENCE)
            products.append(change @ change.T / change.shape[1])
    matrix = np.mean(products, 0)
    np.save(path, matrix)
    return matrix


def attribute_weights(work: Path) -> np.ndarray:
    """M [A, A]: errors e of scaled attributes count by e · M · e, the mean of their squares and `picture_change`.

    The picture hardly shows how far an eye is open, which matters all the same; so squares of openings count for more.
    """
    own = [OPENING_WEIGHT if name in OPENINGS else 1.0 for name in NAMES]
    return (picture_change(work) + np.diag(own) / len(NAMES)).astype(np.float32)
