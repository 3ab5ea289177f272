"""Statements handed to the driver as finished text.

SQLAlchemy's way from a statement to the driver costs several times what the databases need for a
small one. On the hot paths a statement is therefore compiled once for each kind of database, and
what remains is to turn values into what the driver takes, and columns back into values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from server.db.sessions import CONNECTION

_Convert = Callable[[Any], Any]
_CURSOR = "fieldbell_cursor"


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The text of a statement for one kind of database and how its values get in and out."""

    sql: str
    names: Sequence[str]
    fixed: Mapping[str, Any]
    writers: Mapping[str, _Convert]
    readers: Sequence[tuple[int, _Convert]]
    positional: bool
    returns: bool

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver takes them."""
        given = {**self.fixed, **values}
        for name, write in self.writers.items():
            given[name] = write(given[name])
        return [given[name] for name in self.names] if self.positional else given

    def read(self, rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """The rows with their columns as values of our types."""
        if not self.readers:
            return [tuple(row) for row in rows]
        read = []
        for row in rows:
            columns = list(row)
            for place, convert in self.readers:
                columns[place] = convert(columns[place])
            read.append(tuple(columns))
        return read


def run(
    session: Session, statement: ClauseElement, values: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Execute a statement that was built once and return its rows, plain tuples of its columns.

    Objects of the session that are not written yet are written first. The statement must be kept
    by its module: it is compiled once for as long as it lives.
    """
    session.flush()
    connection = _connection(session)
    compiled = _compiled(statement, connection.dialect)
    cursor = _execute(connection, compiled.sql, compiled.parameters(values or {}), many=False)
    return compiled.read(cursor.fetchall()) if compiled.returns or cursor.description else []


def fetch(session: Session, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    """Execute a finished text of the driver's own style and return its rows."""
    return list(_execute(_connection(session), sql, parameters, many=False).fetchall())


def execute(session: Session, sql: str, parameters: Any) -> None:
    """Execute a finished text of the driver's own style."""
    _execute(_connection(session), sql, parameters, many=False)


def execute_many(session: Session, sql: str, rows: Sequence[Any]) -> None:
    """Execute a finished text once for each row of values."""
    _execute(_connection(session), sql, rows, many=True)


def _connection(session: Session) -> Connection:
    """The session's connection; asking the session for it is what sets a savepoint."""
    known: Connection | None = session.info.get(CONNECTION)
    return session.connection() if known is None or session.in_nested_transaction() else known


def _execute(connection: Connection, sql: str, parameters: Any, *, many: bool) -> Any:
    """Hand a text to the driver; whoever listens to the engine hears of it, errors are SQLAlchemy's."""
    cursor = _cursor(connection)
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, cursor, sql, parameters, None, many)
    dialect = connection.dialect
    try:
        if many:
            cursor.executemany(sql, parameters)
        else:
            cursor.execute(sql, parameters)
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, cursor)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            sql,
            None,  # the values are customers' data and do not belong into a log
            error,
            dialect.loaded_dbapi.Error,
            connection_invalidated=lost,
            dialect=dialect,
        ) from error
    return cursor


def _cursor(connection: Connection) -> Any:
    """The cursor of this connection to the database, made once.

    One is enough: the rows of a statement are fetched before the next is executed.
    """
    kept = connection.info
    cursor = kept.get(_CURSOR)
    if cursor is None:
        cursor = kept[_CURSOR] = connection.connection.cursor()
    return cursor


_COMPILED: dict[str, WeakKeyDictionary[ClauseElement, _Compiled]] = {}


def _compiled(statement: ClauseElement, dialect: Dialect) -> _Compiled:
    known = _COMPILED.setdefault(dialect.name, WeakKeyDictionary())
    found = known.get(statement)
    if found is None:
        found = known[statement] = _compile(statement, dialect)
    return found


def _compile(statement: ClauseElement, dialect: Dialect) -> _Compiled:
    compiled: Any = statement.compile(dialect=dialect)
    later = [name for name, bind in compiled.binds.items() if bind.required]
    if any(compiled.binds[name].expanding for name in later):
        raise TypeError("a list that is bound later must be one parameter: use many_ids()")
    # Lists that are part of the statement (`IN ('open', 'held')`) become one parameter for each value.
    state = compiled.construct_expanded_state(dict.fromkeys(later))
    writers = dict(state.processors)
    for name, bind in compiled.binds.items():
        write = bind.type.dialect_impl(dialect).bind_processor(dialect)
        if write is not None and name in state.parameters:
            writers[name] = write
    readers = []
    for place, column in enumerate(compiled._result_columns):  # noqa: SLF001 - the only list of the columns' types
        read = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if read is not None:
            readers.append((place, read))
    return _Compiled(
        sql=state.statement,
        names=state.positiontup or (),
        fixed={name: value for name, value in state.parameters.items() if name not in later},
        writers=writers,
        readers=readers,
        positional=compiled.positional,
        returns=bool(compiled._result_columns),  # noqa: SLF001
    )
