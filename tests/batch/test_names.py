"""Names of a batch's edits and of their files."""

from __future__ import annotations

from pathlib import Path

from dragspace_jax.batch.names import BatchLines
from tests.batch.edits import edit, write


def test_names_of_files_are_safe_and_unequal(tmp_path: Path) -> None:
    names = BatchLines(write(tmp_path / "edits.jsonl", "")).names(iter(["kept"]))
    ids = ["/etc/passwd", "..", "", "a", "A", "ä", "_", "kept", "a-5", "x" * 150]
    stems = [names.stem(names.claim(name, number)) for number, name in enumerate(ids, 1)]
    assert stems == ["_etc_passwd", "edit", "edit-3", "a", "A-5", "_", "_-7", "kept-8", "a-5-9", "x" * 80]


def test_an_id_that_a_line_names_is_its_own(tmp_path: Path) -> None:
    lines = BatchLines(write(tmp_path / "edits.jsonl", edit(), edit(id="line-000001"), "{", edit(id="a"), edit(id="a")))
    assert lines.total == 5
    assert [name for name, _ in lines.named()] == ["line-000001+", "line-000001", "line-000003", "a", "line-000005"]
