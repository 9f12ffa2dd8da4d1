"""The page of settings says what the code says."""

from __future__ import annotations

from scripts.settings_page import PAGE, page


def test_the_page_is_as_it_would_be_written() -> None:
    assert PAGE.read_text() == page(), "run scripts/settings_page.py"
