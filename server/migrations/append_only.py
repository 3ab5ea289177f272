"""The DDL that makes content columns unchangeable and rows permanent, for migrations.

Alembic's batch mode on SQLite drops triggers silently: a migration that rebuilds such a table
runs these statements again, and a test looks whether they are there.
"""

from __future__ import annotations

from collections.abc import Sequence


def append_only_statements(
    dialect: str, table: str, content: Sequence[str], *, may_delete: bool = False
) -> list[str]:
    """The DDL that makes content columns of a table unchangeable and its rows permanent.

    Used by migrations: Alembic's batch mode on SQLite drops triggers silently, so a migration
    that rebuilds such a table runs these again.
    """
    changed = " OR ".join(_differs(dialect, column) for column in content)
    statements = []
    if dialect == "postgresql":
        function = f"refuse_{table}_change"
        statements.append(
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
        )
        statements.append(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW"
            f" WHEN ({changed}) EXECUTE FUNCTION {function}()"
        )
        if not may_delete:
            statements.append(
                f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW"
                f" EXECUTE FUNCTION {function}()"
            )
        return statements
    abort = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    statements.append(
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW"
        f" WHEN {changed} {abort}"
    )
    if not may_delete:
        statements.append(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {abort}")
    return statements


def _differs(dialect: str, column: str) -> str:
    if dialect == "postgresql":
        return f'OLD."{column}" IS DISTINCT FROM NEW."{column}"'
    return f'OLD."{column}" IS NOT NEW."{column}"'
