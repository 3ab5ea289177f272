"""What went wrong in an import, row by row, and what came in."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Self, TextIO


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one row; an ``error`` kept it out, a ``warning`` did not."""

    file: str
    line: int
    column: str
    code: str
    reason: str
    value: str = ""
    severity: str = "error"

    def sentence(self) -> str:
        """The problem as one line for a terminal."""
        where = f"{self.file}:{self.line}"
        what = f"{self.column} {self.reason}" if self.column else self.reason
        shown = f" (is {self.value[:60]!r})" if self.value else ""
        return f"{where}: {self.severity}: {what}{shown} [{self.code}]"


@dataclass
class Tally:
    """What became of a file's rows."""

    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    bad: int = 0
    warnings: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of a chunk."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class Report:
    """Collects problems: tells ``say`` of the first ones, writes all of them to a file."""

    say: Callable[[str], None]
    most_said: int = 100
    tallies: dict[str, Tally] = field(default_factory=dict)
    by_code: Counter[str] = field(default_factory=Counter)
    _file: TextIO | None = None
    _said: int = 0

    @classmethod
    def to(cls, path: Path | None, say: Callable[[str], None]) -> Self:
        """A report that also writes every problem to a CSV file."""
        report = cls(say)
        if path is not None:
            report._file = path.open("w", encoding="utf-8", newline="")
            csv.writer(report._file).writerow([each.name for each in fields(Problem)])
        return report

    def tally(self, file: str) -> Tally:
        """The counts of a file."""
        return self.tallies.setdefault(file, Tally())

    def add(self, problem: Problem) -> None:
        """Note a problem; a bad row may have several and is counted once, by its chunk."""
        self.by_code[problem.code] += 1
        if problem.severity == "warning":
            self.tally(problem.file).warnings += 1
        if self._file is not None:
            row = [getattr(problem, each.name) for each in fields(Problem)]
            csv.writer(self._file).writerow(row)
        self._said += 1
        if self._said <= self.most_said:
            self.say(problem.sentence())
        elif self._said == self.most_said + 1:
            self.say("… more problems are not shown here; --report FILE writes all of them.")

    @property
    def bad(self) -> int:
        """How many rows were kept out."""
        return sum(tally.bad for tally in self.tallies.values())

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()
