"""Alembic's migrations: one set for both databases."""
