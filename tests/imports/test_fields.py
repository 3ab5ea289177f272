"""Cells: what is read, what is refused and why. No database."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from server.imports import fields
from server.imports.fields import BadValue, Locale, Read, RegisterSpec

LOCALE = Locale()
KINDS = ("total", "peak", "valley")


@pytest.mark.parametrize(
    ("read", "cell", "value"),
    [
        (fields.text(5), "客户 001"[:5], "客户 00"),
        (fields.number(2), "-12.30", Decimal("-12.30")),
        (fields.number(0), "15.000", Decimal(15)),
        (fields.whole(1, 31), "22", 22),
        (fields.degrees(180), "121.4720954", 1_214_720_954),
        (fields.yes_no, "是", True),
        (fields.yes_no, "No", False),
        (fields.day, "2026/1/5", date(2026, 1, 5)),
        (fields.instant, "2026-01-31", datetime(2026, 1, 30, 16, tzinfo=UTC)),
        (fields.instant, "2026/1/31 08:15", datetime(2026, 1, 31, 0, 15, tzinfo=UTC)),
        (fields.instant, "2026-01-31T08:15:00+00:00", datetime(2026, 1, 31, 8, 15, tzinfo=UTC)),
        (fields.phone, "138 0013 8000", "+8613800138000"),
        (fields.phone, "+44 20 7946 0000", "+442079460000"),
        (fields.language, "zh-CN", "zh_Hans"),
        (fields.language, "English", "en"),
        (fields.choice(("active", "closed")), "Active", "active"),
        (fields.words, " a ; b;a; ", ("a", "b")),
        (fields.json_object, '{"floor": 3}', {"floor": 3}),
        (
            fields.registers(KINDS),
            "total:5.0;Peak:6.2",
            (RegisterSpec("total", 5, 0), RegisterSpec("peak", 6, 2)),
        ),
        (fields.dial_values(KINDS), "123.5", {"total": Decimal("123.5")}),
        (
            fields.dial_values(KINDS),
            "peak=1; valley = 2",
            {"peak": Decimal(1), "valley": Decimal(2)},
        ),
    ],
)
def test_a_good_cell_becomes_its_value(read: Read, cell: str, value: Any) -> None:
    assert read(cell, LOCALE) == value


@pytest.mark.parametrize(
    ("read", "cell", "code"),
    [
        (fields.text(3), "four", "import.too_long"),
        (fields.number(2), "1,234.5", "import.number"),
        (fields.number(2), "1e3", "import.number"),
        (fields.number(2), "１２", "import.number"),
        (fields.number(2), "NaN", "import.number"),
        (fields.number(2), "1.005", "import.places"),
        (fields.number(0, Decimal(0)), "-1", "import.range"),
        (fields.whole(1, 31), "32", "import.range"),
        (fields.whole(1, 31), "2.5", "import.number"),
        (fields.degrees(90), "91", "import.range"),
        (fields.yes_no, "maybe", "import.yes_no"),
        (fields.day, "2026-02-30", "import.date"),
        (fields.instant, "yesterday", "import.time"),
        (fields.instant, "2026-01-31 25:00", "import.time"),
        (fields.phone, "phone", "import.phone"),
        (fields.phone, "12", "import.phone"),
        (fields.email, "a@b", "import.email"),
        (fields.language, "fr", "import.choice"),
        (fields.time_zone, "Asia/Nowhere", "import.time_zone"),
        (fields.json_object, "[1]", "import.json"),
        (fields.registers(KINDS), "total", "import.registers"),
        (fields.registers(KINDS), "total:5;total:6", "import.registers"),
        (fields.registers(KINDS), "gas:5", "import.registers"),
        (fields.registers(KINDS), "total:13", "import.registers"),
        (fields.dial_values(KINDS), "gas=5", "import.registers"),
        (fields.dial_values(KINDS), "-5", "import.range"),
    ],
)
def test_a_bad_cell_is_refused_with_a_stable_code(read: Read, cell: str, code: str) -> None:
    with pytest.raises(BadValue) as bad:
        read(cell, LOCALE)
    assert bad.value.code == code
    assert bad.value.reason
