"""The condition of a partial index in the words of both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text


def only(condition: str) -> dict[str, Any]:
    """Arguments of an index that holds just the rows of a condition."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
