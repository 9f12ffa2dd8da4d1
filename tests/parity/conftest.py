"""Parity is a matter of float32: highest precision on our side; tiny networks want one thread of torch."""

import jax
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def as_users_run(optimised):
    """The programs as they compile by default."""


@pytest.fixture(autouse=True)
def highest_precision():
    with jax.default_matmul_precision("highest"):
        yield
