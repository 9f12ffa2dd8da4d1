"""A network's parameters by name, and the fingerprint that tells one network from another."""

from __future__ import annotations

import hashlib
import json
import weakref

import jax
import numpy as np
from flax import nnx

from dragspace_jax.stylegan2.discriminator import Discriminator
from dragspace_jax.stylegan2.generator import Generator

_known: weakref.WeakKeyDictionary[nnx.Module, tuple[tuple[int, ...], str]] = weakref.WeakKeyDictionary()


def parameters(module: nnx.Module) -> dict[str, jax.Array]:
    """All parameters and buffers of a network by their dotted names."""
    return {
        ".".join(str(part) for part in path): variable[...] for path, variable in nnx.to_flat_state(nnx.state(module))
    }


def fingerprint(network: Generator | Discriminator) -> str:
    """A short hash of a network's architecture and parameters: the same network, the same name.

    It is computed once for a network, unless its parameters are replaced.
    """
    named = parameters(network)
    identity = tuple(map(id, named.values()))
    kept = _known.get(network)
    if kept is not None and kept[0] == identity:
        return kept[1]
    digest = hashlib.sha256(json.dumps(network.config.to_json()).encode())
    for name, value in sorted(named.items()):
        digest.update(f"{name} {value.shape}".encode())
        digest.update(np.asarray(value).tobytes())
    _known[network] = identity, digest.hexdigest()[:16]
    return _known[network][1]
