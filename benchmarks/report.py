"""How every benchmark shows its rows and keeps its numbers: tables of columns, and one JSON file.

The file holds `machine`, `tables` (title and columns), `rows` (one object each) and what else a benchmark has to say.
Whoever reads it can print the tables again, as `ranges` does over several runs and a plan of runs in Markdown.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
      heading: as people read it, with the unit.
      fields: of a row, which the cell shows.
      form: how, as `str.format` takes it; a cell without a value (None) is empty.
    """

    heading: str
    fields: Sequence[str]
    form: str = "{}"

    def cell(self, row: Row) -> str:
        values = [row[field] for field in self.fields]
        return "" if None in values else self.form.format(*values)

    @property
    def is_text(self) -> bool:
        return self.form == "{}"


@dataclasses.dataclass(frozen=True)
class Table:
    """A title and columns, which rows of objects fill."""

    title: str
    columns: Sequence[Column]

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Table:
        return cls(stored["title"], [Column(**column) for column in stored["columns"]])

    def rich(self, rows: Sequence[Row]) -> RichTable:
        """As a terminal shows it."""
        shown = RichTable(title=self.title, title_justify="left", box=box.SIMPLE, pad_edge=False, padding=(0, 1))
        for column in self.columns:
            shown.add_column(column.heading, justify="left" if column.is_text else "right", no_wrap=not column.is_text)
        for row in rows:
            shown.add_row(*(column.cell(row) for column in self.columns))
        return shown

    def markdown(self, rows: Sequence[Row]) -> str:
        """As a README shows it."""
        lines = [[column.heading for column in self.columns], ["---"] * len(self.columns)]
        lines += [[column.cell(row) for column in self.columns] for row in rows]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def results_console() -> Console:
    """A console wide enough for the tables where it is a file and not a terminal, which has its own width."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def write(out: Path, machine: Row, tables: Sequence[Table], rows: Sequence[Row], **more: Any) -> None:
    """Keep the numbers, with all that they depend on."""
    numbers = {"machine": machine, **more, "tables": [dataclasses.asdict(table) for table in tables], "rows": rows}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(numbers, indent=2) + "\n")


def finish(
    console: Console, out: Path, machine: Row, tables: Sequence[Table], rows: Sequence[Row], **more: Any
) -> None:
    """Print the tables, keep the numbers, and say where they are."""
    console.print(*(table.rich(rows) for table in tables))
    write(out, machine, tables, rows, **more)
    console.print(f"numbers in {out}", highlight=False, soft_wrap=True)
