"""A model's PCA of W, fitted once and kept in the user's cache folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp

from dragspace_jax.compilation_cache import cache_folder
from dragspace_jax.inputs import label_vector
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces.base import SpaceError
from dragspace_jax.spaces.fit import DEFAULT_SAMPLES, fit_pca
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.spaces.stored import load_space, save_space
from dragspace_jax.stylegan2 import Generator

_log = logging.getLogger(__name__)


def basis_folder() -> Path:
    """The folder of fitted bases; what is in it may always be fitted again."""
    return cache_folder() / "bases"


def cached_pca(model: Generator, label: int | None = None, *, on_progress: Callable[[int], None] | None = None) -> PCA:
    """All components of W, from the user's cache if they are there; the cache may fail, the fit goes on.

    Args:
      model: the generator.
      label: class of the samples, for a model with classes.
      on_progress: called with the number of samples done, of `DEFAULT_SAMPLES`.

    Raises:
      InputError: the label does not fit the model.
    """
    one_hot = label_vector(model.config, label)
    kind = "" if label is None else f"-label{label}"
    path = basis_folder() / f"pca-{fingerprint(model)}{kind}-{DEFAULT_SAMPLES}.npz"
    try:
        if path.is_file():
            kept = load_space(path)
            kept.check(model)
            if isinstance(kept, PCA):
                return kept
            raise SpaceError(f"{path} holds a space of kind {kept.name}")
    except (SpaceError, OSError):
        _log.warning("the kept PCA basis %s is damaged; fitting it again", path)
    _log.info("fitting a PCA basis from %s samples of the model (kept for the next time)", f"{DEFAULT_SAMPLES:,}")
    basis = fit_pca(model, label=None if one_hot is None else jnp.asarray(one_hot[0]), on_progress=on_progress)
    try:
        save_space(basis, path)
    except OSError as error:
        _log.warning("the basis could not be kept (%s: %s)", error.strerror, path.parent)
    return basis
