"""The base of every table and the column types of our own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Integer,
    MetaData,
    String,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from server import clock

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every table; constraints have names so that migrations can speak of them.

    ``read_by_id`` marks a table that others read by its growing ids: ``server/db/settled.py``.
    """

    metadata = MetaData(naming_convention=NAMING)
    read_by_id: ClassVar[bool] = False


db = SQLAlchemy(metadata=Base.metadata)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant in UTC; a naive value is refused rather than guessed."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class sets the signature
        """Turn an aware instant into UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class sets the signature
        """Give the instant back aware; SQLite returns it naive."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Scaled(TypeDecorator[Decimal]):
    """An exact decimal kept as a scaled 64-bit integer, so that sums are exact in SQL."""

    impl = BigInteger
    places = 0

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base class sets the signature
        """Scale the number; more places than the type has are refused, never rounded."""
        return None if value is None else scaled(value, self.places)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - the base class sets the signature
        """Give the exact decimal back."""
        return None if value is None else Decimal(int(value)).scaleb(-self.places)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:  # noqa: ARG002 - the base class sets the signature
        """Compare with decimals as with columns of the same type."""
        return self


def scaled(value: Decimal | int, places: int) -> int:
    """Return value × 10^places as a whole number.

    Raises:
        ValueError: when the number has more decimal places or does not fit 64 bits.
    """
    moved = Decimal(value).scaleb(places)
    whole = int(moved)
    if whole != moved:
        raise ValueError(f"{value} has more than {places} decimal places")
    if not -(2**63) <= whole < 2**63:
        raise ValueError(f"{value} does not fit")
    return whole


class Money(Scaled):
    """An amount of currency, four decimal places (currencies have at most four)."""

    cache_ok = True
    places = 4


class Quantity(Scaled):
    """A reading, a consumption, a price or a factor: six decimal places."""

    cache_ok = True
    places = 6


BigId = BigInteger().with_variant(Integer, "sqlite")
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def only(condition: str) -> dict[str, Any]:
    """Arguments of an index that holds just the rows of a condition, for both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def sorted_text(length: int) -> Any:
    """Text whose index serves ``column >= 'abc'``: sorted by code points on both databases."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def id_column() -> Mapped[int]:
    """The primary key every table has unless its docstring says otherwise."""
    return mapped_column(BigId, primary_key=True, autoincrement=True)


def created_at_column() -> Mapped[datetime]:
    """When the row was written, by the server's clock."""
    return mapped_column(UtcDateTime, default=clock.now, nullable=False)


def one_of(column: str, values: Sequence[str]) -> str:
    """The SQL of a condition that a column holds one of a few words.

    Comparisons, because SQLite puts the words of an IN into a table of its own for every statement,
    and for every row of an executemany: that costs more than the rest of a small update.
    """
    return f"({' OR '.join(f'{column} = {value!r}' for value in values)})"
