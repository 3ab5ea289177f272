"""What one file of an import is: its columns, and the function that stores a chunk of its rows."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from server.db import Session
from server.imports.fields import BadValue, Locale, Read
from server.imports.report import Problem, Tally


@dataclass(frozen=True)
class Column:
    """One column: how a cell is read and what the documentation says of it."""

    name: str
    read: Read
    help: str
    example: str = ""
    required: bool = False
    default: Any = None


@dataclass(frozen=True)
class Row:
    """A row whose cells could all be read; missing cells have their column's default."""

    line: int
    values: dict[str, Any]

    def __getitem__(self, column: str) -> Any:
        """The value of a column."""
        return self.values[column]


@dataclass
class Chunk:
    """Some rows of a file being stored, and what is wrong with others of them."""

    file: str
    all_rows: list[Row]
    now: datetime
    locale: Locale
    problems: list[Problem] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    _refused: set[int] = field(default_factory=set)

    @property
    def rows(self) -> list[Row]:
        """The rows that have not been refused."""
        if not self._refused:
            return self.all_rows
        return [row for row in self.all_rows if row.line not in self._refused]

    def refuse(self, row: Row, column: str, code: str, reason: str) -> None:
        """Keep a row out and say why; a second reason counts the row no second time."""
        value = row.values.get(column)
        shown = "" if value is None else str(value)
        self.problems.append(Problem(self.file, row.line, column, code, reason, shown))
        self.tally.bad += row.line not in self._refused
        self._refused.add(row.line)

    def require(self, column: str, found: Container[Any], what: str) -> None:
        """Refuse the rows whose cell in a column is given and not found."""
        for row in self.rows:
            if row[column] is not None and row[column] not in found:
                self.refuse(row, column, f"import.unknown_{what}", f"names no {what} that exists")

    def values(self, column: str) -> set[Any]:
        """What the rows have in a column, without empty cells."""
        return {row[column] for row in self.rows if row[column] is not None}


Load = Callable[[Session, Chunk], None]


@dataclass(frozen=True)
class Subject:
    """One file: its name, columns, natural key and loader."""

    file: str
    what: str
    columns: Sequence[Column]
    key: Sequence[str]
    load: Load


def read_row(
    subject: Subject, header: Sequence[str], line: int, cells: Sequence[str], locale: Locale
) -> Row | list[Problem]:
    """Read the cells of a row: the row, or everything wrong with it."""
    if len(cells) > len(header):
        reason = f"has {len(cells)} cells, the header has {len(header)}"
        return [Problem(subject.file, line, "", "import.cells", reason)]
    given = dict(zip(header, cells, strict=False))
    values: dict[str, Any] = {}
    problems = []
    for column in subject.columns:
        cell = given.get(column.name, "").strip()
        try:
            values[column.name] = _read_cell(column, cell, locale)
        except BadValue as bad:
            problems.append(Problem(subject.file, line, column.name, bad.code, bad.reason, cell))
    return problems or Row(line, values)


def _read_cell(column: Column, cell: str, locale: Locale) -> Any:
    if "\0" in cell:
        raise BadValue("import.nul", "contains a NUL character")
    if not cell:
        if column.required:
            raise BadValue("import.missing", "is empty and must be given")
        return column.default
    return column.read(cell, locale)
