"""PCA coordinates of W (GANSpace, arXiv 2004.02546; dragged in by DragGANSpace, arXiv 2509.22169)."""

from __future__ import annotations

import dataclasses
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.spaces.base import Space, SpaceError, broadcast_layers
from dragspace_jax.spaces.wplus import DEFAULT_LAYERS, default_layers
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.mapping import Mapping

DEFAULT_SAMPLES = 10_000
_HIGHEST = jax.lax.Precision.HIGHEST


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PCA(Space):
    """Moves the first `layers` latents within the span of K principal components of W.

    Attributes:
      mean: [D], mean of W.
      components: [K, D], orthonormal, by falling variance.
      variance: [K], variance along each component.
      layers: number n of moving layers.
      shared: one set of coordinates for all layers (K numbers) or one a layer (n·K).
    """

    mean: jax.Array
    components: jax.Array
    variance: jax.Array
    layers: int = dataclasses.field(default=DEFAULT_LAYERS, metadata={"static": True})
    shared: bool = dataclasses.field(default=False, metadata={"static": True})

    def coordinates(self, moving: jax.Array) -> jax.Array:
        centred = moving - broadcast_layers(self.mean, self.layers)
        per_layer = jnp.matmul(centred, self.components.T, precision=_HIGHEST)
        return per_layer.mean(0) if self.shared else per_layer.reshape(-1)

    def displaced(self, coordinates: jax.Array) -> jax.Array:
        per_layer = broadcast_layers(coordinates, self.layers) if self.shared else coordinates.reshape(self.layers, -1)
        moved = jnp.matmul(per_layer, self.components, precision=_HIGHEST)
        return moved + broadcast_layers(self.mean, self.layers)

    def check(self, model: Generator) -> None:
        super().check(model)
        if self.mean.shape[0] != model.config.w_dim:
            raise SpaceError(
                f"the PCA basis is of a W of width {self.mean.shape[0]}; the model's is {model.config.w_dim}"
            )

    def truncated(self, components: int) -> Self:
        """The space of the first `components` components. Raises SpaceError if there are fewer."""
        if not 1 <= components <= self.components.shape[0]:
            raise SpaceError(f"components is {components}; the basis has {self.components.shape[0]}")
        return dataclasses.replace(self, components=self.components[:components], variance=self.variance[:components])

    def save(self, path: Path) -> None:
        """Write mean, components and variance as an npz; an interrupted write leaves nothing at `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as staging:
            try:
                np.savez(staging, mean=self.mean, components=self.components, variance=self.variance)
                Path(staging.name).rename(path)
            except BaseException:
                Path(staging.name).unlink(missing_ok=True)
                raise

    @classmethod
    def load(cls, path: Path, *, layers: int = DEFAULT_LAYERS, shared: bool = False) -> Self:
        """Read what `save` wrote. Raises SpaceError if the file is not such a basis."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = [np.asarray(stored[name], np.float32) for name in ("mean", "components", "variance")]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise SpaceError(f"{path} is not a PCA basis ({error}); delete it to have it fitted again") from error
        mean, components, variance = arrays
        shapes_fit = components.shape == (*variance.shape, *mean.shape) and components.ndim == 2
        if not shapes_fit or not all(np.isfinite(array).all() for array in arrays):
            raise SpaceError(f"{path} is not a PCA basis (shapes or numbers); delete it to have it fitted again")
        return cls(
            mean=jnp.asarray(mean),
            components=jnp.asarray(components),
            variance=jnp.asarray(variance),
            layers=layers,
            shared=shared,
        )


@jax.jit
def _mapped(mapping: Mapping, z: jax.Array, c: jax.Array | None) -> jax.Array:
    return mapping.trunk(z, c)


def fit_pca(
    model: Generator,
    *,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    label: jax.Array | None = None,
    layers: int | None = None,
    shared: bool = False,
) -> PCA:
    """PCA of W over mapped Gaussian latents, all min(D, samples) components; `truncated` takes the first K.

    Moments are summed in float64 on the host, so the basis does not depend on the batching; each component's largest
    entry is positive, so it repeats.

    Args:
      model: the generator.
      samples: number of latents.
      seed: of the latents.
      label: [c_dim], for conditional models.
      layers, shared: the space's settings; layers None: the published 6, or all of a model that has fewer.

    Raises:
      SpaceError: fewer than two samples, or a label that does not fit the model.
    """
    if samples < 2:
        raise SpaceError(f"samples is {samples}; a PCA needs at least 2")
    given = 0 if label is None else label.shape[0]
    if given != model.config.c_dim:
        raise SpaceError(f"the label has {given} classes; the model has {model.config.c_dim}")
    width, batch = model.config.w_dim, min(samples, 2_000)
    total, outer = np.zeros(width), np.zeros((width, width))
    for start in range(0, samples, batch):
        z = jax.random.normal(jax.random.fold_in(jax.random.key(seed), start), (batch, model.config.z_dim))
        c = None if label is None else jnp.broadcast_to(label[None], (batch, label.shape[0]))
        w = np.asarray(_mapped(model.mapping, z, c), np.float64)[: samples - start]
        total += w.sum(0)
        outer += w.T @ w
    mean = total / samples
    variance, vectors = np.linalg.eigh((outer - samples * np.outer(mean, mean)) / (samples - 1))
    count = min(width, samples - 1)
    components = vectors.T[::-1][:count]
    largest = np.take_along_axis(components, np.abs(components).argmax(1)[:, None], 1)
    return PCA(
        mean=jnp.asarray(mean, jnp.float32),
        components=jnp.asarray(components * np.sign(largest), jnp.float32),
        variance=jnp.asarray(np.maximum(variance[::-1][:count], 0.0), jnp.float32),
        layers=default_layers(model.config.num_ws) if layers is None else layers,
        shared=shared,
    )
