"""Whether low rates fail for noise: how the gradient turns from iteration to iteration, and where the drag goes.

A gradient that is mostly noise points elsewhere every time: cosines of successive ones are small, the path is much
longer than what it comes to, and the handle goes back and forth.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.drag import DragResult, DragSettings, Outcome
from dragspace_jax.drag.motion import motion_loss
from dragspace_jax.spaces import LayerSpace
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.network import PreparedSynthesis
from scripts.dragganspace.landscape import whole_maps

FIGURES = ("cosine", "path", "approach", "scatter", "away")
"""One number a drag: mean cosine of successive gradients in the space's coordinates, length of the path in W over that
of the displacement, px that the tracked handle comes nearer in an iteration, their standard deviation, and the share
of iterations that lead away."""
_BATCH = 32
_PAIRS = 6  # of successive gradients in a drag at most, evenly over its iterations


@dataclasses.dataclass(frozen=True)
class Noise:
    """Figures of drags with traces.

    Attributes:
      network: made ready to give whole maps.
      settings: of the drags, resolved.
    """

    network: PreparedSynthesis
    settings: DragSettings

    @classmethod
    def of(cls, model: Generator, settings: DragSettings) -> Noise:
        assert settings.feature_block is not None  # the settings are resolved
        return cls(whole_maps(model, settings.feature_block), settings)

    def gradient(self, ws: jax.Array, handles_yx: jax.Array, targets_yx: jax.Array) -> jax.Array:
        """Of the motion loss by latents ws [B, L, D] of handles [B, 2] as tracked there: [B, L, D]."""
        count, side = ws.shape[0], self.network.grid.side
        image, there = jnp.arange(count, dtype=jnp.int32), jnp.ones(count, bool)
        assert self.settings.tolerance is not None  # likewise
        tolerance = jnp.full(count, self.settings.tolerance)
        radius = self.settings.pixels(self.settings.radius_motion, side)

        def loss(ws: jax.Array) -> jax.Array:
            reader = self.network.features(self.network.styles(Latents(ws=ws)), handles_yx, image)
            return jnp.sum(motion_loss(reader, handles_yx, targets_yx, there, radius, tolerance))

        return jax.grad(loss)(ws)

    def figures(self, results: list[DragResult], paths: list[np.ndarray], space: LayerSpace) -> dict[str, np.ndarray]:
        """{name: [E]} of `FIGURES`; nan where a drag is too short to have it.

        Args:
          results: the drags, with their traces, T iterations each.
          paths: [T + 1, L, D] each, the latents at the start and after every iteration.
          space: that they moved in.
        """
        layers, updates = space.layers, [r.steps - (r.outcome == Outcome.REACHED) for r in results]
        firsts = [first_of_pairs(count) for count in updates]
        pulls = self.gradients(results, paths, [np.union1d(first, first + 1) for first in firsts])
        found: dict[str, list[float]] = {name: [] for name in FIGURES}
        for result, path, count, first, pull in zip(results, paths, updates, firsts, pulls, strict=True):
            x, known = in_coordinates(pull[:, :layers], space), np.union1d(first, first + 1)
            moved = np.diff(path[: count + 1, :layers].reshape(count + 1, -1), axis=0)
            assert result.trace is not None
            left = np.linalg.norm(result.trace.handles_yx[:, 0] - np.asarray(result.targets_yx)[0], axis=1)
            nearer = -np.diff(left)
            found["cosine"].append(float(np.mean(cosines(x)[np.diff(known) == 1])) if len(first) else np.nan)
            found["path"].append(path_ratio(moved) if count else np.nan)
            found["approach"].append(float(nearer.mean()) if len(nearer) else np.nan)
            found["scatter"].append(float(nearer.std()) if len(nearer) else np.nan)
            found["away"].append(float(np.mean(nearer < 0)) if len(nearer) else np.nan)
        return {name: np.array(values) for name, values in found.items()}

    def gradients(
        self, results: list[DragResult], paths: list[np.ndarray], chosen: list[np.ndarray]
    ) -> list[np.ndarray]:
        """The gradients [len(chosen), L, D] of every drag at the iterations chosen, computed together."""
        gradient = jax.jit(self.gradient)
        ws = np.concatenate([path[at] for path, at in zip(paths, chosen, strict=True)]).astype(np.float32)
        tracked, wanted = [], []
        for result, at in zip(results, chosen, strict=True):
            assert result.trace is not None
            tracked.append(result.trace.handles_yx[at, 0])
            wanted.append(np.repeat(np.asarray(result.targets_yx), len(at), 0))
        handles, targets = np.concatenate(tracked), np.concatenate(wanted).astype(np.float32)
        rows = np.minimum(np.arange(len(ws) + -len(ws) % _BATCH), len(ws) - 1).reshape(-1, _BATCH)
        found = [np.asarray(gradient(ws[row], handles[row], targets[row])) for row in rows]
        return np.split(np.concatenate(found)[: len(ws)], np.cumsum([len(at) for at in chosen])[:-1])


def first_of_pairs(updates: int) -> np.ndarray:
    """The iterations whose gradient is compared with the next one's, of a drag that takes `updates` steps."""
    return np.unique(np.rint(np.linspace(0, updates - 2, _PAIRS)).astype(int)) if updates > 1 else np.arange(0)


def in_coordinates(gradient: np.ndarray, space: LayerSpace) -> np.ndarray:
    """Gradients by latents [T, n, D] → by a space's coordinates [T, K]; of W+ and PCA."""
    if isinstance(space, PCA):
        gradient = gradient @ np.asarray(space.components).T * np.asarray(space.scale)
    return gradient.reshape(len(gradient), gradient.shape[1] * gradient.shape[2])


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Of each of [T, K] with the next: [T - 1]."""
    lengths = np.linalg.norm(vectors, axis=1)
    return np.sum(vectors[1:] * vectors[:-1], 1) / np.maximum(lengths[1:] * lengths[:-1], 1e-30)


def path_ratio(moved: np.ndarray) -> float:
    """Length of all steps [T, K] over the length of their sum."""
    return float(np.linalg.norm(moved, axis=1).sum() / max(np.linalg.norm(moved.sum(0)), 1e-30))
