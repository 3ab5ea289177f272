"""The tariff engine: a tariff is data, and what it makes of usage is a list of bill lines.

``parse`` reads a definition and lists every mistake, ``charge`` makes the lines. Nothing here
knows a database; ``docs/tariffs.md`` describes the file format.
"""

from __future__ import annotations

from server.billing.rules.tariff.days import split_by_year, valid_on
from server.billing.rules.tariff.files import FileVersion, TariffFile, read_content, read_text
from server.billing.rules.tariff.model import (
    Charge,
    Line,
    Part,
    Tariff,
    Usage,
    Version,
)
from server.billing.rules.tariff.parse import parse
from server.billing.rules.tariff.price import charge, registers_of

__all__ = [
    "Charge",
    "FileVersion",
    "Line",
    "Part",
    "Tariff",
    "TariffFile",
    "Usage",
    "Version",
    "charge",
    "parse",
    "read_content",
    "read_text",
    "registers_of",
    "split_by_year",
    "valid_on",
]
