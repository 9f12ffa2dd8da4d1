"""What code and documents point to is there: files, headings, and the numbered facts of the published loop."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path

import pytest

from dragspace_jax.spaces import PCA, Displacement, LowRank, W, WPlus
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/**/*.md", "benchmarks/*.md", "tests/golden/*.md")
CODE = ("dragspace_jax", "convert", "benchmarks", "scripts", "tests")
DOCUMENTS = sorted(path for pattern in PAGES for path in ROOT.glob(pattern))
SOURCES = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def anchors(page: Path) -> frozenset[str]:
    """The page's headings as links name them: lower case, spaces as -, without other signs."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


@cache
def facts() -> frozenset[str]:
    """Numbers of the facts of the published loop."""
    section = (ROOT / "docs" / "design.md").read_text().split("## The published drag loop\n")[1].split("\n## ")[0]
    return frozenset(re.findall(r"^(\d+)\. \*\*", section, re.MULTILINE))


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_links_of_a_page(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCED.sub("", page.read_text())):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_the_facts_keep_their_numbers() -> None:
    assert facts() == frozenset("123456789")


def test_references_of_the_code() -> None:
    """`docs/PAGE.md#heading`, and `docs/design.md, fact N`."""
    seen = 0
    for source in SOURCES:
        for reference in re.finditer(r"(docs/[\w/]+\.md)`?(?:#([\w-]+)|, fact (\d+))?", source.read_text()):
            path, anchor, fact = reference.groups()
            where = f"{name(source)}: {reference[0]}"
            if source == Path(__file__):
                continue
            seen += 1
            assert (ROOT / path).is_file(), where
            assert anchor is None or anchor in anchors(ROOT / path), where
            assert fact is None or fact in facts(), where
    assert seen


@pytest.mark.parametrize(
    ("section", "written"),
    [
        ("Model folder", GeneratorConfig),
        ("Model folder", DiscriminatorConfig),
        ("Basis files", PCA),
        ("Basis files", Displacement),
        ("Basis files", LowRank),
        ("Basis files", W),
        ("Basis files", WPlus),
    ],
)
def test_formats_name_what_is_stored(section: str, written: type) -> None:
    """Configs and spaces are stored field by field."""
    text = (ROOT / "docs" / "formats.md").read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    assert {field.name for field in dataclasses.fields(written)} <= set(re.findall(r"`(\w+)`", text))
