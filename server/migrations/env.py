"""How Alembic meets the database: our types as plain ones, foreign keys checked afterwards."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from flask import current_app
from sqlalchemy.dialects import postgresql

from server import models
from server.db import UtcDateTime, db


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our column types as SQLAlchemy's own, so that no migration imports the product."""
    if kind != "type":
        return False
    if isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if getattr(item, "places", None) is not None:
        return "sa.BigInteger()"
    if isinstance(item, sa.BigInteger) and item._variant_mapping:  # noqa: SLF001 - no public view
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    if isinstance(item, sa.JSON) and not isinstance(item, postgresql.JSONB):
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def include_object(item: Any, name: str | None, kind: str, reflected: bool, _other: Any) -> bool:
    """Compare everything except what only the database has, such as partitions."""
    return not (reflected and kind == "table" and name not in models.TABLES)


def run() -> None:
    """Run the migrations on the app's engine in one transaction."""
    engine = current_app.extensions["migrate"].db.engine
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.rollback()
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_item=render_item,
            include_object=include_object,
            render_as_batch=sqlite,
            compare_type=False,
        )
        with context.begin_transaction():
            context.run_migrations()
            if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise RuntimeError("a migration broke a foreign key; nothing was changed")
        connection.commit()
        if sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


run()
