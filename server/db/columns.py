"""One statement for many rows, written by hand, where thousands of rows a second go through.

The rows are a list of tuples; inside the statement they are a table ``x`` that ``{rows}`` stands for.
They travel as one array for each column (PostgreSQL) or as one JSON text (SQLite), so the statement
is a single step of the driver: on SQLite a step for each row would give every other thread of the
process a chance to keep this one waiting. Rows that are written as they stand go through ``bulk``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.orm import Session

from server.db.base import UtcDateTime
from server.db.driver import fetch, run
from server.db.sessions import is_postgresql

_CASTS = {"bigint": "INTEGER", "text": "TEXT", "integer": "INTEGER"}


_BY_INDEX = "SELECT " + ", ".join(
    f"set_config('{name}', 'off', true)"
    for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
)


def by_index(session: Session) -> None:
    """Have PostgreSQL find rows by indexes alone until the transaction ends.

    For statements on the keys of a batch: PostgreSQL plans them while a table is small, finds that
    reading all of it is cheapest, and keeps to that for a minute or more while the table grows.
    """
    if is_postgresql(session):
        fetch(session, _BY_INDEX, None)


class Many:
    """A statement over the table ``x`` of given rows; ``types`` are its columns in order.

    Types are ``bigint``, ``integer`` and ``text``. Parameters that are instants are named in
    ``instants``. Where a statement selects from ``{rows}``, SQLite needs a WHERE before ON CONFLICT.
    """

    def __init__(
        self, statement: str, types: Mapping[str, str], instants: Sequence[str] = ()
    ) -> None:
        self._types = dict(types)
        self._postgresql = self._clause(statement, self._arrays(), instants)
        self._sqlite = self._clause(statement, self._json(), instants)

    def run(
        self, session: Session, rows: Sequence[tuple[Any, ...]], **values: Any
    ) -> list[tuple[Any, ...]]:
        """Execute it for ``rows``; the rows it returns, as the driver gives them."""
        if is_postgresql(session):
            columns: Sequence[Any] = list(zip(*rows, strict=True)) or [()] * len(self._types)
            named = {f"x_{name}": list(c) for name, c in zip(self._types, columns, strict=True)}
            return run(session, self._postgresql, {**named, **values})
        flat = [row[0] for row in rows] if len(self._types) == 1 else rows
        return run(session, self._sqlite, {"x_rows": orjson.dumps(flat).decode(), **values})

    @staticmethod
    def _clause(statement: str, rows: str, instants: Sequence[str]) -> TextClause:
        made = text(statement.replace("{rows}", rows))
        return made.bindparams(*(bindparam(name, type_=UtcDateTime()) for name in instants))

    def _arrays(self) -> str:
        lists = ", ".join(f"CAST(:x_{name} AS {kind}[])" for name, kind in self._types.items())
        return f"unnest({lists}) AS x({', '.join(self._types)})"

    def _json(self) -> str:
        if len(self._types) == 1:
            (name,) = self._types
            return f"(SELECT value AS {name} FROM json_each(:x_rows)) AS x"  # noqa: S608 - only names of our own
        columns = ", ".join(
            f"CAST(json_extract(value, '$[{place}]') AS {_CASTS[kind]}) AS {name}"
            for place, (name, kind) in enumerate(self._types.items())
        )
        return f"(SELECT {columns} FROM json_each(:x_rows)) AS x"  # noqa: S608 - only names of our own
