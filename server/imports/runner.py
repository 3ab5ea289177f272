"""Runs an import: file after file, chunk after chunk, each chunk in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from server import audit, clock
from server.billing.models import TariffVersion
from server.billing.service import put_tariff, read_tariff_file
from server.db import Session, transaction
from server.errors import DomainError, Invalid
from server.identity.actor import SYSTEM
from server.imports.catalogue import SUBJECTS, TARIFFS
from server.imports.fields import Locale
from server.imports.report import Problem, Report, Tally
from server.imports.source import Table
from server.imports.subject import Chunk, Row, Subject, read_row

CHUNK = 1000

Unit = Callable[[], AbstractContextManager[Session]]
Progress = Callable[[str, Tally], None]


class _DryRunEnds(Exception):
    """Takes everything back at the end of a dry run."""


@dataclass(frozen=True)
class Import:
    """One run: the folder, what cells leave unsaid, where problems and progress go."""

    folder: Path
    locale: Locale
    report: Report
    progress: Progress

    def run(self, *, dry_run: bool = False) -> None:
        """Read every file of the folder.

        Raises:
            Invalid: ``import.nothing`` when the folder holds no file that is known.
        """
        self._require_files()
        if not dry_run:
            self._read_all(transaction)
            return
        try:
            with transaction() as session:
                self._read_all(lambda: _nested(session))
                raise _DryRunEnds
        except _DryRunEnds:
            pass

    def _require_files(self) -> None:
        known = [subject.file for subject in SUBJECTS if (self.folder / subject.file).exists()]
        if not known and not _tariff_files(self.folder):
            names = ", ".join(subject.file for subject in SUBJECTS)
            raise Invalid(
                "import.nothing", f"{self.folder} holds none of {names} and no {TARIFFS}/*.yaml."
            )
        for path in sorted(self.folder.glob("*.csv")):
            if path.name not in {subject.file for subject in SUBJECTS}:
                reason = "is not a file of an import and was left alone"
                self.report.add(
                    Problem(path.name, 0, "", "import.unknown_file", reason, severity="warning")
                )

    def _read_all(self, unit: Unit) -> None:
        for path in _tariff_files(self.folder):
            self._read_tariff(path, unit)
        for subject in SUBJECTS:
            if (self.folder / subject.file).exists():
                self._read_file(subject, unit)

    def _read_tariff(self, path: Path, unit: Unit) -> None:
        name = f"{TARIFFS}/{path.name}"
        tally = self.report.tally(name)
        tally.rows += 1
        try:
            content = read_tariff_file(path)
            with unit() as session:
                before = _versions(session)
                put_tariff(session, content)
                new = _versions(session) - before
            tally.add(Tally(added=new, unchanged=1 - new))
        except DomainError as error:
            tally.bad += 1
            for mistake in error.details.get("mistakes", [{"where": "", "what": error.message}]):
                self.report.add(Problem(name, 1, mistake["where"], error.code, mistake["what"]))

    def _read_file(self, subject: Subject, unit: Unit) -> None:
        tally = self.report.tally(subject.file)
        try:
            table = Table(self.folder / subject.file)
        except (Invalid, OSError) as error:
            self._refuse_file(subject, error)
            return
        try:
            _check_header(subject, table.header)
            rows = self._good_rows(subject, table, tally)
            while chunk := list(islice(rows, CHUNK)):
                self._store(subject, chunk, tally, unit)
                self.progress(subject.file, tally)
        except Invalid as error:
            self._refuse_file(subject, error)
        finally:
            table.close()
        self.progress(subject.file, tally)
        with unit() as session:
            after = asdict(tally)
            audit.record(session, SYSTEM, "import.file", "import", subject.file, after=after)

    def _refuse_file(self, subject: Subject, error: Exception) -> None:
        code, details = "import.file", {}
        if isinstance(error, DomainError):
            code, details = error.code, error.details
        self.report.tally(subject.file).bad += 1
        line, column = int(details.get("line", 1)), str(details.get("column", ""))
        self.report.add(Problem(subject.file, line, column, code, str(error)))

    def _good_rows(self, subject: Subject, table: Table, tally: Tally) -> Iterator[Row]:
        """The rows that can be read and whose key is new in this file."""
        seen: dict[Any, int] = {}
        for line, cells in table:
            tally.rows += 1
            row = read_row(subject, table.header, line, cells, self.locale)
            if not isinstance(row, Row):
                self._refuse_row(row, tally)
                continue
            first = seen.setdefault(_key(subject, row), line)
            if first == line:
                yield row
                continue
            reason = f"stands in line {first} already"
            value = str(row[subject.key[0]])
            self._refuse_row(
                [Problem(subject.file, line, subject.key[0], "import.twice", reason, value)], tally
            )

    def _refuse_row(self, problems: Iterable[Problem], tally: Tally) -> None:
        tally.bad += 1
        for problem in problems:
            self.report.add(problem)

    def _store(self, subject: Subject, rows: list[Row], tally: Tally, unit: Unit) -> None:
        """Store a chunk; when the database refuses it, its rows one by one."""
        chunk = Chunk(subject.file, rows, clock.now(), self.locale)
        try:
            with unit() as session:
                subject.load(session, chunk)
        except DBAPIError as error:
            if len(rows) > 1:
                for row in rows:
                    self._store(subject, [row], tally, unit)
                return
            chunk = Chunk(subject.file, rows, clock.now(), self.locale)
            reason = f"was refused by the database: {str(error.orig).splitlines()[0]}"
            chunk.refuse(rows[0], "", "import.refused", reason)
        tally.add(chunk.tally)
        for problem in chunk.problems:
            self.report.add(problem)


@contextmanager
def _nested(session: Session) -> Iterator[Session]:
    """A part of one long transaction that can fail by itself."""
    with session.begin_nested():
        yield session
        session.flush()


def _tariff_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in (folder / TARIFFS).glob("*") if path.suffix in (".yaml", ".yml", ".json")
    )


def _key(subject: Subject, row: Row) -> Any:
    """The natural key of a row; ``phone|name`` stands for the first of the two that is given."""
    parts = [
        next((row[name] for name in column.split("|") if row[name] is not None), None)
        for column in subject.key
    ]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _versions(session: Session) -> int:
    return session.execute(select(func.count()).select_from(TariffVersion)).scalar_one()


def _check_header(subject: Subject, header: list[str]) -> None:
    """A column that nobody knows is a mistake: its data would be lost without a word.

    Raises:
        Invalid: ``import.unknown_column``, ``import.missing_column`` or ``import.column_twice``.
    """
    names = {column.name for column in subject.columns}
    for name in header:
        if name not in names:
            known = ", ".join(column.name for column in subject.columns)
            raise Invalid(
                "import.unknown_column",
                f"The file has a column {name!r}; known are {known}. Nothing was read.",
                {"column": name},
            )
        if header.count(name) > 1:
            reason = f"The column {name!r} is there twice. Nothing was read."
            raise Invalid("import.column_twice", reason, {"column": name})
    for column in subject.columns:
        if column.required and column.name not in header:
            raise Invalid(
                "import.missing_column",
                f"The column {column.name!r} is missing. Nothing was read.",
                {"column": column.name},
            )
