"""Where a model's own samples lie in W: how far an edit has left them, measured against 10,000 of them.

Samples have one w for all layers, and whitened coordinates of W are not normal, so χ² would be the wrong law for their
distances: they are drawn and counted.
"""

from __future__ import annotations

import dataclasses
import logging

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from dragspace_jax.arrays import UnreadableArrays, read_arrays, write_arrays
from dragspace_jax.metrics.distance import mahalanobis
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces.cached import basis_folder, cached_pca
from dragspace_jax.spaces.fit import BATCH, DEFAULT_SAMPLES, draw
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator

SAMPLES = 10_000
_SEED = 1  # the basis is fitted to those of seed 0
_VARIES = 1e-10  # of the greatest variance; below, float32 tells no deviation from its own rounding
_log = logging.getLogger(__name__)
_made: dict[str, Prior] = {}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """W as its principal components with variance describe it, and the distances of samples to its mean.

    Attributes:
      mean: of W.
      components: orthonormal.
      variance: along each component.
      samples: distances of `SAMPLES` samples, rising.
    """

    mean: Float32[np.ndarray, " D"]
    components: Float32[np.ndarray, "K D"]
    variance: Float32[np.ndarray, " K"]
    samples: Float32[np.ndarray, " S"]

    def distance(self, ws: Float[np.ndarray, "n D"]) -> float:
        """Mahalanobis distance of n layers' latents: the root mean square over layers and components, in deviations."""
        return float(mahalanobis(ws, self.mean, self.components, self.variance))

    def quantile(self, distance: float) -> float:
        """The share of the samples that lie no farther than this."""
        return float(np.searchsorted(self.samples, distance, side="right")) / len(self.samples)


def cached_prior(model: Generator) -> Prior:
    """The prior of a model without classes; its basis and distances are kept in the user's cache, which may fail.

    Raises:
      InputError: the model has classes.
    """
    key = fingerprint(model)
    if key not in _made:
        _made[key] = _prior(model, cached_pca(model))
    return _made[key]


def _prior(model: Generator, basis: PCA) -> Prior:
    variance = np.asarray(basis.variance)
    varies = variance > variance[0] * _VARIES
    mean, components, variance = np.asarray(basis.mean), np.asarray(basis.components)[varies], variance[varies]
    path = basis_folder() / f"pca-{fingerprint(model)}-{DEFAULT_SAMPLES}-distances.npz"
    samples = None
    try:
        samples = read_arrays(path).get("distances")
    except FileNotFoundError:
        pass
    except UnreadableArrays:
        samples = np.zeros(0)
    if samples is not None and (samples.shape != (SAMPLES,) or not np.isfinite(samples).all()):
        _log.warning("the kept distances %s are damaged; drawing samples again", path)
        samples = None
    if samples is None:
        batches = range(-(-SAMPLES // BATCH))
        w = np.concatenate([np.asarray(draw(model.mapping, _SEED, jnp.int32(index), None)) for index in batches])
        samples = np.sort(mahalanobis(w[:SAMPLES, None], mean, components, variance)).astype(np.float32)
        try:
            write_arrays(path, {"distances": samples})
        except OSError as error:
            _log.warning("the distances could not be kept (%s: %s)", error.strerror, path.parent)
    return Prior(mean=mean, components=components, variance=variance, samples=samples.astype(np.float32))
