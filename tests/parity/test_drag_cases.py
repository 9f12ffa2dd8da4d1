"""The cases of `test_drag_parity` beyond those that run with all optimisations: to the same bars, compiled sooner."""

from __future__ import annotations

import pytest

from .test_drag_parity import AS_USERS_RUN, CASES, check


@pytest.fixture(scope="module", autouse=True)
def as_users_run() -> None:
    """Not here: a program is compiled without most optimisations in three fifths of the time."""


@pytest.mark.parametrize("name", [name for name in CASES if name not in AS_USERS_RUN])
def test_against_the_torch_loop(name):
    check(CASES[name])
