"""The discriminators of `test_discriminator_parity` beyond those that run with all optimisations: to the same bar,
compiled sooner."""

from __future__ import annotations

import pytest

from .test_discriminator_parity import AS_USERS_RUN, CONFIGS, check


@pytest.fixture(scope="module", autouse=True)
def as_users_run() -> None:
    """Not here: a program is compiled without most optimisations in half the time."""


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in AS_USERS_RUN])
def test_logits(name: str) -> None:
    check(CONFIGS[name])
