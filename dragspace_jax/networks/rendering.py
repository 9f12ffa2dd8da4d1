"""Latents to images, in batches of one compiled shape, of whatever family."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float32, Int32, PRNGKeyArray

from dragspace_jax.kept_programs import KeptJit

_BATCH = 16
_PIXELS = 2**21  # of one batch: eight images of 512 px, two of 1024 px


@runtime_checkable
class Renders(Protocol):
    """A model whose latents can be rendered."""

    @property
    def config(self) -> Any:
        """Its architecture, of which the `resolution` counts here."""
        ...

    def images(
        self, latents: Any, *, noise: Any = "const", key: PRNGKeyArray | None = None, dtype: str = "float32"
    ) -> Float32[Array, "B H W C"]:
        """Latents, their arrays with a leading B, to images, nominally in [-1, 1]; traceable.

        `noise` is `const`, `none` or, with a `key`, `random`; `dtype` is that of the synthesis.
        """
        ...


@functools.cache
def _renderer(noise: str, dtype: str) -> KeptJit:
    """`_render`, compiled."""
    function = partial(_render, noise=noise, dtype=dtype)
    return KeptJit(function, name=f"render {noise} {dtype}", results=lambda model, latents, first: first)


def _render(model: Any, latents: Any, first: Int32[Array, ""], *, noise: str, dtype: str) -> Float32[Array, "B H W C"]:
    key = jax.random.fold_in(jax.random.key(0), first)
    return model.images(latents, noise=noise, key=key, dtype=dtype)


def stacked(latents: Sequence[Any]) -> Any:
    """Several images' latents, pytrees of one structure, as one with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *latents)


def render_batches(
    model: Renders, latents: Any, *, noise: str = "const", dtype: str = "float32", together: int = 0
) -> Iterator[Float32[np.ndarray, "b H W C"]]:
    """Render latents batch by batch; n images in all.

    The last batch is filled up with copies of its last latent, so that nothing is compiled twice. Random noise
    comes from a fixed key and differs from batch to batch. While the caller works on a batch, the next is computed.

    Args:
      model: the network.
      latents: of n images, the family's pytree, its arrays with a leading n.
      noise: `const`, `none` or `random`.
      dtype: of the synthesis.
      together: images of a batch, so that any n has one program; 0: as many as there are. Large ones are fewer.
    """
    count = len(jax.tree.leaves(latents)[0])
    batch = _batch(model, together or count)
    starts = range(0, count, batch)
    program = _renderer(noise, dtype)

    def begun(start: int) -> Float32[Array, "B H W C"]:
        rows = np.minimum(np.arange(start, start + batch), count - 1)
        return program(model, jax.tree.map(lambda leaf: np.asarray(leaf)[rows], latents), np.int32(start))

    for start, (images, _) in zip(starts, pairwise(chain(map(begun, starts), [None])), strict=True):
        assert images is not None  # only what follows the last is
        yield np.asarray(images)[: min(batch, count - start)]


def _batch(model: Renders, together: int) -> int:
    return min(together, _BATCH, max(1, _PIXELS // model.config.resolution**2))


def render_images(
    model: Renders, latents: Any, *, noise: str = "const", dtype: str = "float32"
) -> Float32[np.ndarray, "n H W C"]:
    """All of the latents at once."""
    return np.concatenate(list(render_batches(model, latents, noise=noise, dtype=dtype)))
