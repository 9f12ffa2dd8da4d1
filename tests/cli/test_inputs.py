"""Seeds as they are typed."""

import pytest

from dragspace_jax.cli.errors import UserError
from dragspace_jax.cli.inputs import parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [3]), ("0-3", [0, 1, 2, 3]), ("1,5,9-11", [1, 5, 9, 10, 11]), (" 4 , 2-2,4", [4, 2])],
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1,,2", "5-2", "4294967296", "0-4294967295", "1.5"])
def test_bad_seeds(text):
    with pytest.raises(UserError, match="seeds"):
        parse_seeds(text)
