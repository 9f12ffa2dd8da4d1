"""A network's parameters by name, and the fingerprint that tells one network from another."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array

_known: weakref.WeakKeyDictionary[nnx.Module, tuple[tuple[int, ...], str]] = weakref.WeakKeyDictionary()


class Buffer(nnx.Variable[Array]):
    """A constant of a network that no optimiser moves: w_avg, noise maps, statistics of activations."""


def parameters(module: nnx.Module) -> dict[str, jax.Array]:
    """All parameters and buffers of a network by their dotted names."""
    return {
        ".".join(str(part) for part in path): variable[...] for path, variable in nnx.to_flat_state(nnx.state(module))
    }


def fingerprint(network: Any) -> str:
    """A short hash of a network's architecture and parameters: the same network, the same name.

    The network is an `nnx.Module` with a `config` that has `to_json`. The hash is computed once for a network, unless
    its parameters are replaced.
    """
    identity = tuple(map(id, jax.tree.leaves(network)))
    kept = _known.get(network)
    if kept is not None and kept[0] == identity:
        return kept[1]
    _known[network] = identity, digest(parameters(network), json.dumps(network.config.to_json()))
    return _known[network][1]


def digest(named: Mapping[str, jax.Array], about: str = "") -> str:
    """A short hash of parameters by name and of a text about them."""
    whole = hashlib.sha256(about.encode())
    for name, value in sorted(named.items()):
        whole.update(f"{name} {value.shape}".encode())
        whole.update(np.asarray(value).tobytes())
    return whole.hexdigest()[:16]
