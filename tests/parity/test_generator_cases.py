"""The networks of `test_generator_parity` beyond those that run with all optimisations: to the same bars, compiled
sooner."""

from __future__ import annotations

import pytest

from .test_generator_parity import (
    AS_USERS_RUN,
    CONFIGS,
    Pair,
    pair_of,
    test_gradient_of_features,
    test_latents,
    test_rendering_styles_without_noise,
    test_synthesis,
)

__all__ = ["test_gradient_of_features", "test_latents", "test_rendering_styles_without_noise", "test_synthesis"]


@pytest.fixture(scope="module", autouse=True)
def as_users_run() -> None:
    """Not here: a program is compiled without most optimisations in half the time."""


@pytest.fixture(scope="module", params=[name for name in CONFIGS if name not in AS_USERS_RUN], ids=str)
def pair(request) -> Pair:
    return pair_of(CONFIGS[request.param])
