"""Locally active style channels: which of them change one region of the image, and that alone.

Source: StyleSpace (arXiv 2011.12799), section 4.1. A channel's heat map is the gradient of the image by it, pooled to
32 × 32, absolute, the mean over RGB (`stylegan2.pooled` finds those of all channels at once). Its hottest pixels, as
many as a region has, are laid over each region of the image; the region with the greatest intersection / area² wins the
image. A channel is active in a region if it wins more than half of the images that show it, a quarter more of them than
any other region does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, Int, Int32

from dragspace_jax.errors import DragspaceError
from dragspace_jax.inputs import seed_latents
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.block import Kernels, Styles
from dragspace_jax.stylegan2.pooled import PooledPlan, plan_pooled, pooled_gradients
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.stylegan2.synthesis import Synthesis

WINS, LEAD = 0.5, 0.25
"""Published: shares of the images that a channel's region must win, and by which it must lead."""
LEAST_AREA = 4
"""Pixels of 32 × 32; a region that shows fewer of an image counts as not shown."""
PSI = 0.7


class LocalityError(DragspaceError):
    """Regions that cannot be read, or nothing to measure."""


class Segmentation(Protocol):
    """Regions of images: their names, and a function of images [n, H, W, 3] in [−1, 1] → [n, H, W] indices of names.

    Pixels with an index that no name has belong to no region.
    """

    @property
    def names(self) -> Sequence[str]: ...

    def __call__(self, images: Float[np.ndarray, "n H W 3"], /) -> Int[np.ndarray, "n H W"]: ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tally:
    """What n images say of K channels and R regions; sums, so that images can be added one by one.

    Attributes:
      images: n.
      shown: [R], images that show the region.
      wins: [K, R], of these the ones that it wins.
      inside, outside: [K, R], mean squared heat in the region and elsewhere, summed over the images that show it.
    """

    images: int
    shown: Int[np.ndarray, " R"]
    wins: Int[np.ndarray, "K R"]
    inside: Float64[np.ndarray, "K R"]
    outside: Float64[np.ndarray, "K R"]

    @classmethod
    def empty(cls, channels: int, regions: int) -> Tally:
        """Of no images."""
        zeros = np.zeros((channels, regions))
        counts = np.zeros((channels, regions), np.int64)
        return cls(images=0, shown=np.zeros(regions, np.int64), wins=counts, inside=zeros, outside=zeros)

    def with_image(self, heat: Float[np.ndarray, "K S S"], labels: Int[np.ndarray, "S S"]) -> Tally:
        """With one image more: the heat maps of its channels, and the region of every pixel."""
        flat, regions = heat.reshape(len(heat), -1).astype(np.float64), labels.reshape(-1)
        hottest = regions[np.argsort(-flat, axis=1, kind="stable")]
        shown, wins = self.shown.copy(), self.wins.copy()
        inside, outside = self.inside.copy(), self.outside.copy()
        scores = np.full(self.wins.shape, -1.0)
        for region in range(len(shown)):
            there = regions == region
            area = int(there.sum())
            if area < LEAST_AREA:
                continue
            shown[region] += 1
            scores[:, region] = np.sum(hottest[:, :area] == region, axis=1) / area**2
            inside[:, region] += np.square(flat[:, there]).mean(1)
            outside[:, region] += np.square(flat[:, ~there]).mean(1) if area < len(regions) else 0.0
        best = scores.argmax(1)
        decided = scores[np.arange(len(best)), best] > 0
        wins[np.flatnonzero(decided), best[decided]] += 1
        return Tally(images=self.images + 1, shown=shown, wins=wins, inside=inside, outside=outside)

    @property
    def shares(self) -> Float64[np.ndarray, "K R"]:
        """Of the images that show a region, those that it wins, a channel each; 0 for a region that no image shows."""
        return self.wins / np.maximum(self.shown, 1)

    def active(self) -> Int[np.ndarray, " K"]:
        """The region that each channel is active in; −1 for none."""
        shares = self.shares
        order = np.sort(shares, axis=1)[:, ::-1]
        lead = order[:, 0] - (order[:, 1] if shares.shape[1] > 1 else 0.0)
        return np.where((order[:, 0] > WINS) & (lead > LEAD), shares.argmax(1), -1)

    def lead(self) -> Float64[np.ndarray, " K"]:
        """How much the best region's share is above the next one's."""
        order = np.sort(self.shares, axis=1)[:, ::-1]
        return order[:, 0] - (order[:, 1] if order.shape[1] > 1 else 0.0)


@jax.jit
def _styles(synthesis: Synthesis, ws: jax.Array) -> Styles:
    return synthesis.styles(ws)


def channel_names(model: Generator) -> list[tuple[str, int]]:
    """(convolution, index) of every channel whose heat is measured, in order; ToRGB has none."""
    known = model.synthesis.style_channels()
    return [(name, k) for name, count in known.items() if not name.endswith(".torgb") for k in range(count)]


def heat_maps(model: Generator, ws: Float[np.ndarray, "L D"]) -> Float[np.ndarray, "K S S"]:
    """Heat maps of all channels on one image, in the order of `channel_names`."""
    plan = plan_pooled(model.config)
    kernels = model.synthesis.kernels(model.config.resolution, jnp.float32)
    return np.asarray(_heat(model.synthesis, _styles(model.synthesis, jnp.asarray(ws)[None]), kernels, plan))


def _heat_of(synthesis: Synthesis, styles: Styles, kernels: Kernels, plan: PooledPlan) -> jax.Array:
    gradients = pooled_gradients(synthesis, styles, plan, kernels)
    return jnp.concatenate([jnp.mean(jnp.abs(each), 2) for each in gradients.values()], -1).transpose(2, 0, 1)


_heat = jax.jit(_heat_of, static_argnames="plan")


def pooled_labels(labels: Int[np.ndarray, "H W"], side: int, regions: int) -> Int32[np.ndarray, "S S"]:
    """The region that most pixels of each cell belong to; −1 where most belong to none."""
    cell = labels.shape[0] // side
    cells = labels.reshape(side, cell, side, cell)
    counts = np.stack([(cells == region).sum((1, 3)) for region in range(regions)], -1)
    rest = cell**2 - counts.sum(-1)
    return np.where(counts.max(-1) >= rest, counts.argmax(-1), -1).astype(np.int32)


def local_channels(
    model: Generator,
    segmentation: Segmentation,
    *,
    images: int = 100,
    psi: float = PSI,
    label: int | None = None,
    tally: Tally | None = None,
    on_image: Callable[[Tally], None] | None = None,
) -> Tally:
    """Measure the heat maps of seeds 0, 1, … and which region wins each.

    Args:
      model: the generator.
      segmentation: of its images.
      images: number of seeds; published: 1,000.
      psi: their truncation.
      label: their class, for a model with classes.
      tally: of the first seeds, if they are measured already.
      on_image: called with the tally after every image.

    Raises:
      LocalityError: fewer images than are measured, or regions that do not fit the images.
    """
    names = list(segmentation.names)
    found = Tally.empty(len(channel_names(model)), len(names)) if tally is None else tally
    if images < 1 or not names:
        raise LocalityError(f"{images} images and {len(names)} regions: at least one of each is needed", field="images")
    side = plan_pooled(model.config).side
    for seed in range(found.images, images):
        ws = seed_latents(model, [seed], psi=psi, label=label)
        picture = render_images(model, ws)
        labels = np.asarray(segmentation(picture))
        if labels.shape != picture.shape[:3] or labels.dtype.kind not in "iu":
            raise LocalityError(
                f"the segmentation gave shape {labels.shape} and type {labels.dtype}; whole numbers of shape "
                f"{picture.shape[:3]} are needed, an index of its {len(names)} names a pixel",
                field="segmentation",
            )
        found = found.with_image(heat_maps(model, ws[0]), pooled_labels(labels[0], side, len(names)))
        if on_image is not None:
            on_image(found)
    return found
