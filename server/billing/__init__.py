"""Tariffs, bills and the append-only ledger that every amount of money stands in."""
