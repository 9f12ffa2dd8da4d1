"""The two models of an alignment: opened, with what their cards say, and the PCA coordinates of their W."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from dragspace_jax.analysis.align import PCABasis
from dragspace_jax.checkpoint import load, read_card
from dragspace_jax.critters.evaluator import species_of
from dragspace_jax.inputs import label_vector
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces import PCA, fit_pca, load_space
from dragspace_jax.spaces.axes import check_count, sample_limits
from dragspace_jax.spaces.fit import DEFAULT_SAMPLES
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.transfer.errors import TransferError

DEFAULT_COMPONENTS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """An open model.

    Attributes:
      network: the generator.
      name: the folder or embedded name that it was given by, else its fingerprint.
      species: what it draws if that is critters at 128 px, else None.
    """

    network: Generator
    name: str
    species: str | None

    @classmethod
    def open(cls, model: str | Path | Generator) -> Model:
        """By its folder or embedded name; a generator that is open already has no card, so its species is not known.

        Raises:
          ModelError: there is no such model, or not all of it.
        """
        if isinstance(model, Generator):
            return cls(network=model, name=fingerprint(model), species=None)
        return cls(network=load(model), name=str(model), species=species_of(read_card(model)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Models:
    """The two models of an alignment."""

    source: Model
    target: Model

    def __iter__(self) -> Iterator[Model]:
        return iter((self.source, self.target))

    def labels(self, label: int | None) -> tuple[np.ndarray | None, np.ndarray | None]:
        """One-hot labels [1, c_dim] of both, None for one without classes. Raises an error that names the label."""
        configs = self.source.network.config, self.target.network.config
        if not any(config.c_dim for config in configs):
            label_vector(configs[0], label)  # raises if a label was given
            return None, None
        first, second = (label_vector(config, label) if config.c_dim else None for config in configs)
        return first, second


@dataclasses.dataclass(frozen=True, kw_only=True)
class BasisChoice:
    """Which PCA a model's coordinates are of: checked first, fitted later, since that takes its time.

    Attributes:
      model: the generator.
      stored: the PCA of a file, or None: it is to be fitted.
      components: how many; None: up to `DEFAULT_COMPONENTS`.
    """

    model: Generator
    stored: PCA | None
    components: int | None

    @classmethod
    def check(cls, model: Generator, path: str | Path | None, components: int | None) -> BasisChoice:
        """Read the file, if there is one.

        Raises:
          SpaceError: the file is no basis, or of another model, or there are not so many components.
          TransferError: the file holds a space of another kind.
        """
        if path is None:
            check_count(components, sample_limits(DEFAULT_SAMPLES, model.config.w_dim))
            return cls(model=model, stored=None, components=components)
        stored = load_space(path)
        if not isinstance(stored, PCA):
            raise TransferError(f"{path} holds a space of kind {stored.name}; an alignment needs a PCA of W")
        stored.check(model)
        if components is not None:
            stored.truncated(components)  # raises if there are fewer
        return cls(model=model, stored=stored, components=components)

    @property
    def known_count(self) -> int | None:
        """Number of components, None where only the fit will say."""
        if self.components is not None or self.stored is None:
            return self.components
        return min(DEFAULT_COMPONENTS, len(self.stored.components))

    def fit(self, label: np.ndarray | None, seed: int) -> PCA:
        """The PCA; label [1, c_dim] one-hot or None. Raises SpaceError if W is degenerate."""
        basis = self.stored
        if basis is None:
            one_hot = None if label is None else jnp.asarray(label[0])
            basis = fit_pca(self.model, components=self.components, seed=seed, label=one_hot)
        count = min(DEFAULT_COMPONENTS, len(basis.components)) if self.components is None else self.components
        return basis.truncated(count)


def coordinates_of(basis: PCA) -> PCABasis:
    """The basis in float64, as alignments keep it."""
    mean, components, variance = (np.asarray(array) for array in (basis.mean, basis.components, basis.variance))
    return PCABasis(mean=mean, components=components, variance=variance, model=basis.model)
