"""Our compiled loop against the published one: golden arrays, and the torch reference on random cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from dragspace_jax.benchmarks.torch_reference import torch_drag
from dragspace_jax.benchmarks.torch_reference.torch_stylegan2 import Generator as TorchGenerator
from dragspace_jax.benchmarks.torch_reference.transfer import our_generator
from dragspace_jax.drag import DragSettings, Outcome, drag_one
from dragspace_jax.spaces import W, WPlus
from dragspace_jax.stylegan2.config import GeneratorConfig, channel_table

from .compare import below, golden_arrays

LATENT_TOLERANCE = 1e-3


def settings(**changes) -> torch_drag.Settings:
    return torch_drag.Settings(**{"learning_rate": 0.1, "feature_block": 64, **changes})


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


DEFAULTS = settings()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """An edit of a random network; points are (x, y) pixels.

    Attributes:
      masked: rows from this one down must stay; None: no mask.
      seed: of the network's weights and the latents.
    """

    handles: Sequence[tuple[float, float]]
    targets: Sequence[tuple[float, float]]
    resolution: int = 64
    settings: torch_drag.Settings = DEFAULTS
    masked: int | None = None
    architecture: str = "skip"
    seed: int = 0
    steps: int = 12
    outcome: Outcome = Outcome.STEP_LIMIT


CASES = {
    "three handles": Case(handles=[(20, 30), (40, 30), (32, 50)], targets=[(10, 25), (50, 25), (32, 60)]),
    "mask": Case(handles=[(20, 20)], targets=[(40, 24)], masked=36),
    "mask, two handles, other weight": Case(
        handles=[(20, 20), (44, 18)], targets=[(24, 30), (40, 28)], masked=40, settings=settings(mask_weight=3.0)
    ),
    "first pixel": Case(handles=[(0, 0)], targets=[(12, 9)]),
    "last pixel": Case(handles=[(63, 63)], targets=[(50, 57)]),
    "over the border": Case(handles=[(2, 30), (61, 40)], targets=[(0, 5), (63, 63)]),
    # The last pixel's stretched position is a whole number: just as far from this handle as the radius.
    "last row a radius away": Case(
        handles=[(128, 254), (254, 100)],
        targets=[(120, 240), (240, 110)],
        resolution=256,
        settings=settings(feature_block=128),
        steps=6,
    ),
    "w": Case(handles=[(20, 30), (40, 30)], targets=[(28, 34), (46, 20)], settings=settings(space="w")),
    "w, mask, resnet": Case(
        handles=[(20, 20)], targets=[(34, 30)], masked=44, architecture="resnet", settings=settings(space="w")
    ),
    "one handle already there": Case(handles=[(20, 30), (40, 30)], targets=[(20, 31), (50, 40)]),
    "fractions, radii, three layers": Case(
        handles=[(20.5, 30.4), (41.5, 12.7)],
        targets=[(30.2, 36.9), (33.3, 20.0)],
        settings=settings(layers=3, radius_motion=22.0, radius_track=50.0),
    ),
    "block below the image": Case(
        handles=[(60, 64), (80, 90)],
        targets=[(72, 70), (70, 100)],
        resolution=128,
        settings=settings(feature_block=32, learning_rate=0.02),
    ),
    # Rounding may turn the sign of a feature difference near zero, and with it a whole step: not with this seed.
    "five handles": Case(
        handles=[(10, 12), (50, 14), (32, 30), (14, 50), (52, 48)],
        targets=[(16, 16), (44, 18), (32, 36), (20, 44), (46, 42)],
        seed=1,
    ),
    "eight handles, overlapping windows": Case(
        handles=[(8, 8), (30, 6), (55, 9), (12, 32), (33, 33), (36, 35), (9, 56), (56, 55)],
        targets=[(14, 12), (30, 14), (48, 14), (18, 32), (38, 30), (42, 40), (14, 50), (50, 50)],
        seed=1,
    ),
    "arrived before it starts": Case(handles=[(20, 30)], targets=[(21, 31)], outcome=Outcome.REACHED),
}


AS_USERS_RUN = ("three handles", "mask")
"""Windows and whole maps with all optimisations, as the golden drag; `test_drag_cases` has the others."""


def check(case: Case) -> None:
    """Both loops end alike, and handles, latents and losses are the same all the way."""
    config = GeneratorConfig(
        resolution=case.resolution,
        channels=channel_table(case.resolution, 1024, 16),
        z_dim=16,
        w_dim=16,
        mapping_layers=2,
        architecture=case.architecture,  # pyright: ignore[reportArgumentType]
    )
    theirs = TorchGenerator(config, case.seed)
    ws = np.random.RandomState(case.seed).randn(config.num_ws, config.w_dim).astype(np.float32)
    handles_yx, targets_yx = np.array(case.handles)[:, ::-1], np.array(case.targets)[:, ::-1]
    mask = None
    if case.masked is not None:
        mask = np.zeros((case.resolution, case.resolution), np.float32)
        mask[case.masked :] = 1

    expected = torch_drag.drag(theirs, ws, handles_yx, targets_yx, mask=mask, settings=case.settings, steps=case.steps)
    result = drag_one(
        our_generator(config, theirs),
        ws,
        handles_yx,
        targets_yx,
        mask=mask,
        space=(W if case.settings.space == "w" else WPlus)(layers=case.settings.layers),
        settings=DragSettings(
            feature_block=case.settings.feature_block,
            learning_rate=case.settings.learning_rate,
            steps=case.steps,
            radius_motion=case.settings.radius_motion,
            radius_track=case.settings.radius_track,
            mask_weight=case.settings.mask_weight,
        ),
    )
    assert result.outcome == case.outcome
    assert result.trace is not None
    assert result.steps == len(expected.loss)
    np.testing.assert_array_equal(result.trace.handles_yx, expected.handles_yx)
    assert difference(result.traced_latents().ws, expected.latents) <= LATENT_TOLERANCE
    went_on = ~expected.stopped
    np.testing.assert_allclose(result.trace.loss[went_on], expected.loss[went_on], rtol=1e-3)


@pytest.mark.parametrize("name", AS_USERS_RUN)
def test_against_the_torch_loop(name):
    check(CASES[name])


def test_golden():
    golden = golden_arrays("drag_r256_one_point")
    config = GeneratorConfig(
        resolution=256, channels=channel_table(256, 2048, 32), z_dim=32, w_dim=32, mapping_layers=2
    )
    result = drag_one(
        our_generator(config, below(golden, "param/")),
        golden["w0"],
        golden["points"],
        golden["targets"],
        recipe="published",
        settings=DragSettings(learning_rate=float(golden["lr"])),
    )
    assert result.outcome == Outcome.REACHED
    assert result.trace is not None
    np.testing.assert_array_equal(result.trace.handles_yx, golden["traj"])
    assert difference(result.traced_latents().ws, golden["w_after"]) <= LATENT_TOLERANCE
