"""Many keys in one parameter: a condition whose text does not grow with the keys.

``column.in_([…])`` writes one parameter for each value. A batch of a hundred makes each of its
statements some kilobytes long, and everybody on the way reads them again each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Text,
    TypeDecorator,
    bindparam,
    literal,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, TypeEngine

_TOO_LARGE = 2**63


class _Many(TypeDecorator[list[Any]]):
    """A list as one value: an array on PostgreSQL, a JSON text on SQLite.

    PostgreSQL reads the array from a text of ours: the driver looks at each value for its type.
    """

    impl = Text
    cache_ok = True
    item: type[BigInteger | Text] = BigInteger

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type of the parameter."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(ARRAY(self.item()))
        return dialect.type_descriptor(Text())

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """How the list becomes the value of the parameter."""
        return self.array if dialect.name == "postgresql" else self.document

    def array(self, value: Sequence[Any] | None) -> str:
        """The list as PostgreSQL reads an array."""
        return "{" + ",".join(map(str, self.held(value or ()))) + "}"

    def document(self, value: Sequence[Any] | None) -> str:
        """The list as JSON."""
        return orjson.dumps(self.held(value or ())).decode()

    def held(self, value: Sequence[Any]) -> list[Any]:
        """Those of the list that a column can hold."""
        return list(value)


class _ManyIds(_Many):
    """Keys of rows; numbers that no column can hold are left out, as no row has them."""

    cache_ok = True

    def held(self, value: Sequence[Any]) -> list[Any]:
        """The numbers of 64 bits."""
        return [i for i in value if -_TOO_LARGE <= i < _TOO_LARGE]


class _ManyTexts(_Many):
    """Keys that are words."""

    cache_ok = True
    item = Text

    def array(self, value: Sequence[Any] | None) -> str:
        """The words, each in quotation marks."""
        return "{" + ",".join(map(_quoted, value or ())) + "}"


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Among(FunctionElement[bool]):
    """A column and the list its value must be in."""

    inherit_cache = True
    name = "among"
    type = Boolean()
    # It is a condition by itself: SQLite would compare it with 1, and then not use an index.
    _is_implicitly_boolean = True


@compiles(_Among, "postgresql")
def _among_array(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, many = element.clauses
    return f"{compiler.process(column, **options)} = ANY({compiler.process(many, **options)})"


@compiles(_Among)
def _among_json(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, many = element.clauses
    listed = f"(SELECT value FROM json_each({compiler.process(many, **options)}))"  # noqa: S608 - no value is written into the text
    return f"{compiler.process(column, **options)} IN {listed}"


def among(column: Any, ids: Iterable[int | None] | BindParameter[Any]) -> ColumnElement[bool]:
    """The condition that a column holds one of these keys; for lists that grow with the work.

    Args:
        ids: the keys, or a parameter made by :func:`many_ids` for a statement that is built once.
    """
    if isinstance(ids, BindParameter):
        return _Among(column, ids)
    return _Among(column, literal(sorted(i for i in set(ids) if i is not None), _ManyIds()))


def among_texts(column: Any, texts: Iterable[str] | BindParameter[Any]) -> ColumnElement[bool]:
    """As :func:`among`, for columns of text."""
    if isinstance(texts, BindParameter):
        return _Among(column, texts)
    return _Among(column, literal(sorted(set(texts)), _ManyTexts()))


def many_texts(name: str) -> BindParameter[list[str]]:
    """As :func:`many_ids`, for words."""
    return bindparam(name, type_=_ManyTexts())


def many_ids(name: str) -> BindParameter[list[int]]:
    """A parameter that takes a list of keys when the statement is executed."""
    return bindparam(name, type_=_ManyIds())
