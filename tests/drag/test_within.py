"""A bound on the distance from W, whatever moves."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.drag import DragSettings, EditError, EditRequest, Method, drag_one, loop, make_edit
from dragspace_jax.drag.directions import Adam
from dragspace_jax.drag.step_sizes import Rate
from dragspace_jax.drag.table import Table
from dragspace_jax.drag.within import kept_within
from dragspace_jax.inputs import seed_latents
from dragspace_jax.spaces import W, WPlus
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.spaces.prior import cached_prior
from dragspace_jax.stylegan2 import Generator

from .doubles import ImageMatch, Whole, waves

LAYERS = 6


@pytest.mark.parametrize("kind", ["w+", "w", "pca", "few components", "shared"])
@pytest.mark.parametrize("bound", [0.5, 1.3])
def test_candidates_come_back_to_the_bound_and_no_nearer(tiny_generator: Generator, kind: str, bound: float) -> None:
    basis = dataclasses.replace(cached_pca(tiny_generator), layers=LAYERS)
    space = {
        "w+": WPlus(layers=LAYERS),
        "w": W(layers=LAYERS),
        "pca": basis,
        "few components": basis.truncated(3).whitened(),
        "shared": dataclasses.replace(basis.truncated(4), shared=True),
    }[kind]
    prior, random = cached_prior(tiny_generator), np.random.RandomState(0)
    start = seed_latents(tiny_generator, [1], psi=1.0)[0]
    how = DragSettings(
        keep_within=bound, method=Method(objective=ImageMatch(), direction=Adam(), size=Rate()), engine="whole"
    )
    request = EditRequest(latents=start, handles_yx=[[9, 9]], targets_yx=[[9, 9]], space=space, settings=how)
    edit = make_edit(tiny_generator, request)
    table = Table(edit, lanes=1, handles=1)
    table.put(0, edit)
    network = tiny_generator.prepare(
        block=32, reach=1, handles=1.0, windows=False, noise="const", dtype="float32", platform="cpu"
    )
    lanes, _ = loop.begin(network, table.start())
    most = max(bound, prior.distance(start[:LAYERS]))
    begun, base = np.asarray(lanes.start[0]), jax.tree.map(lambda leaf: leaf[0], lanes.base)
    bounded = jax.jit(kept_within)
    beyond = 0
    for length in (0.01, 1.0, 30.0):
        for _ in range(4):
            wanted = (begun + length * random.randn(len(begun))).astype(np.float32)
            kept = bounded(lanes, jnp.asarray(wanted)[None])[0]
            asked, given = (
                prior.distance(np.asarray(space.decode(jnp.asarray(x), base).ws)[:LAYERS]) for x in (wanted, kept)
            )
            if asked <= most:
                np.testing.assert_array_equal(kept, wanted)
            else:
                beyond += 1
                assert given == pytest.approx(most, rel=1e-3)
    assert beyond >= 4


def test_a_drag_that_would_leave_stays_within(tiny_generator: Generator) -> None:
    start = seed_latents(tiny_generator, [3], psi=0.5)[0]
    prior = cached_prior(tiny_generator)

    def ends(keep_within: float) -> float:
        how = DragSettings(learning_rate=0.3, steps=4, keep_within=keep_within)
        result = drag_one(tiny_generator, start, [[8, 8]], [[28, 28]], space=WPlus(layers=LAYERS), settings=how)
        return prior.distance(result.latents.ws[:LAYERS])

    assert ends(0.0) > 1.0
    assert ends(1.0) == pytest.approx(1.0, rel=1e-3)


def test_without_a_prior_there_is_no_bound() -> None:
    how: dict[str, Any] = {"space": Whole(), "settings": DragSettings(feature_block=36, keep_within=1.0)}
    with pytest.raises(EditError, match="keep_within measures distances in W"):
        make_edit(waves(), EditRequest(latents=np.zeros(4), handles_yx=[[9, 9]], targets_yx=[[9, 12]], **how))
