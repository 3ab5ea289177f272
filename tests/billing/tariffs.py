"""Tariffs and usage for tests, written in few words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from server.billing.rules.tariff import (
    Charge,
    Part,
    Usage,
    Version,
    charge,
    parse,
    read_content,
    read_text,
)
from server.billing.service.tariffs import SHIPPED

Number = int | str | Decimal


def shipped(name: str) -> list[Version]:
    """The versions of a tariff that comes with the product."""
    return read_content(read_text((SHIPPED / f"{name}.yaml").read_text("utf-8"))).dated()


def version(
    definition: Mapping[str, Any], start: date = date(2000, 1, 1), number: int = 1
) -> Version:
    """A version of a tariff without an end."""
    return Version(number, start, None, parse({"currency": "CNY", **definition}))


def usage(
    after: date = date(2026, 9, 30),
    until: date = date(2026, 10, 31),
    before: Number = 0,
    *,
    year: Mapping[int, Number] | None = None,
    account_class: str | None = None,
    household: int | None = None,
    since: date | None = None,
    **registers: Number,
) -> Usage:
    """What registers counted; ``before`` is the use of the last day's year so far."""
    years = (
        {until.year: Decimal(before)} if year is None else {y: Decimal(q) for y, q in year.items()}
    )
    parts = tuple(Part(name, after, until, Decimal(q)) for name, q in registers.items())
    return Usage(after, until, parts, years, account_class, household, since)


def cost(versions: Version | list[Version], used: Usage) -> Charge:
    """What a usage costs."""
    return charge(versions if isinstance(versions, list) else [versions], used)


def amounts(priced: Charge) -> list[tuple[str, str]]:
    """The lines as (component, amount)."""
    return [(line.component, str(line.amount)) for line in priced.lines]


def shown(priced: Charge, *names: str) -> list[tuple[Any, ...]]:
    """The lines by these fields; prices and amounts as text."""
    return [
        tuple(
            str(getattr(line, name)) if name in ("price", "amount") else getattr(line, name)
            for name in names
        )
        for line in priced.lines
    ]
