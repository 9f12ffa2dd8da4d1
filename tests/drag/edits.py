"""Edits of the tiny generator, for the tests of lanes and batches."""

from __future__ import annotations

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np

from dragspace_jax.drag import (
    DragResult,
    DragSettings,
    EditRequest,
)
from dragspace_jax.spaces import WPlus
from dragspace_jax.stylegan2.generator import Generator

SETTINGS = DragSettings(learning_rate=0.03, steps=30, feature_block=16)
HANDLES = (1, 2, 4)  # every number of them is a program of its own for an edit alone


def requests(model: Generator, count: int, settings: DragSettings = SETTINGS) -> list[EditRequest]:
    """Edits of one, two and four handles, of different lengths."""
    random = np.random.RandomState(5)
    made = []
    for i in range(count):
        handles = random.randint(6, 26, (HANDLES[i % len(HANDLES)], 2))
        targets = np.clip(handles + random.randint(-6, 7, handles.shape), 0, 31)
        ws = np.asarray(model.mapping(jnp.asarray(random.randn(1, model.config.z_dim), jnp.float32)))[0]
        request = EditRequest(
            id=f"edit {i}",
            latents=ws,
            handles_yx=handles,
            targets_yx=targets,
            space=WPlus(layers=6),
            settings=settings,
        )
        made.append(request)
    return made


def by_id(results: Iterable[DragResult]) -> dict[str, DragResult]:
    listed = list(results)
    found = {result.id: result for result in listed}
    assert len(found) == len(listed)
    return found
