"""Lists by keyset: never by offset, so that page 200 of 10,000 rows costs as much as page 1."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, request, stream_with_context
from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from server import audit
from server.console import entry
from server.db import Session, transaction

PAGE = 50
COUNTED = 10_000
EXPORTED = 100_000
_FORMULA = {"=", "@", "\t", "\r"}
_SIGNED_WORDS = re.compile(r"[+-](?![\d.]+\Z)")


@dataclass(frozen=True)
class Page:
    """Some rows of a list; ``next`` asks for the rows after them and is None on the last page.

    ``short`` says that more may be found there although the page is not full (see :class:`Reach`).
    """

    rows: Sequence[Any]
    next: str | None
    started: bool
    count: str
    short: bool = False


@dataclass(frozen=True)
class Reach:
    """Bounds of a search that no index serves: a page looks at ``most`` ids and says where it stopped.

    The search lies between the ids ``first`` and before ``last``.
    """

    first: int
    last: int
    most: int = 200_000


def page(
    session: Session,
    statement: Select[*tuple[Any, ...]],
    key: InstrumentedAttribute[Any],
    *,
    descending: bool = True,
    size: int = PAGE,
    reach: Reach | None = None,
) -> Page:
    """One page of a list sorted by a unique column; ``after`` of the address says where it starts.

    The statement's first column or entity must carry the key as an attribute of the same name. A
    list with a ``reach`` is sorted by descending ids.
    """
    after = _after(key)
    low = None
    wanted = counted = statement
    if reach is not None:
        low = max((after if after is not None else reach.last) - reach.most, reach.first)
        wanted = wanted.where(key >= low)
        counted = counted.where(key >= max(reach.last - reach.most, reach.first))
    if after is not None:
        wanted = wanted.where(key < after if descending else key > after)
    order = key.desc() if descending else key.asc()
    rows = session.execute(wanted.order_by(order).limit(size + 1)).all()
    more = len(rows) > size
    short = not more and reach is not None and low is not None and low > reach.first
    last = str(_key_of(rows[size - 1], key)) if more else str(low) if short else None
    whole = after is None and not more
    count = f"{len(rows):,}" if whole else count_of(session, counted)
    open_end = reach is not None and reach.last - reach.most > reach.first
    if open_end and not count.endswith("+"):
        count += "+"
    return Page(rows[:size], last, after is not None, count, short)


def _key_of(row: Any, key: InstrumentedAttribute[Any]) -> Any:
    return getattr(row, key.key) if hasattr(row, key.key) else getattr(row[0], key.key)


def _after(key: InstrumentedAttribute[Any]) -> Any:
    text = request.args.get("after")
    if not text:
        return None
    if key.type.python_type is int:
        return int(text) if text.isdigit() and len(text) < 19 else None
    return text


def count_of(session: Session, statement: Select[*tuple[Any, ...]]) -> str:
    """How many rows a list has; beyond ten thousand that is all there is to say."""
    some = statement.order_by(None).limit(COUNTED + 1).subquery()
    n = session.execute(select(func.count()).select_from(some)).scalar_one()
    return f"{COUNTED:,}+" if n > COUNTED else f"{n:,}"


def csv_answer(
    name: str, columns: Sequence[str], rows: Callable[[], Iterable[Sequence[Any]]]
) -> Response:
    """A list as a CSV file with the mark that lets spreadsheets see it is UTF-8; streamed.

    Who took which list with him stands in the audit trail before the first line leaves.
    """
    with transaction() as session:
        narrowed = request.query_string.decode("ascii", "replace")[:200]
        audit.record(
            session, entry.actor(), f"{name}.exported", name, "*", after={"query": narrowed}
        )

    def lines() -> Iterator[str]:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        buffer.write("\ufeff")
        writer.writerow(columns)
        for row in rows():
            writer.writerow([_harmless(cell) for cell in row])
            if buffer.tell() > 16_000:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue()

    answer = Response(stream_with_context(lines()), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def _harmless(cell: Any) -> Any:
    """A cell that a spreadsheet will not run as a formula."""
    if isinstance(cell, str) and (cell[:1] in _FORMULA or _SIGNED_WORDS.match(cell)):
        return "'" + cell
    return "" if cell is None else cell
