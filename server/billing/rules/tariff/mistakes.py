"""Reading data that people have written, and collecting what is wrong with it: where and what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from server.errors import Invalid

_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]+)?", re.ASCII)
_MISSING = (None, "", "~", "null")
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}


class Mistakes:
    """The mistakes found so far, and readers that add to them and go on with a stand-in."""

    def __init__(self) -> None:
        """Begin without a mistake."""
        self.found: list[dict[str, str]] = []

    def wrong(self, where: str, what: str) -> None:
        """Note a mistake."""
        self.found.append({"where": where, "what": what})

    def refuse(self) -> None:
        """Stop when there is any mistake.

        Raises:
            Invalid: ``tariff.invalid`` with every mistake in the details.
        """
        if self.found:
            count = len(self.found)
            raise Invalid(
                "tariff.invalid",
                f"The tariff has {count} mistakes." if count > 1 else "The tariff has a mistake.",
                {"mistakes": self.found},
            )

    def mapping(self, where: str, raw: Any, known: set[str]) -> Mapping[str, Any]:
        """A mapping with these fields and no others."""
        if not isinstance(raw, Mapping):
            self.wrong(where, "must be a mapping")
            return {}
        for name in sorted(set(map(str, raw)) - known):
            self.wrong(where, f"{name!r} is not a field here")
        return raw

    def listing(self, where: str, raw: Any) -> Sequence[Any]:
        """A list with at least one entry."""
        if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
            self.wrong(where, "must be a list with at least one entry")
            return ()
        return raw

    def word(self, where: str, raw: Any, longest: int = 40) -> str:
        """A text that is not empty."""
        if not isinstance(raw, str) or raw.strip() in _MISSING:
            self.wrong(where, "is missing")
            return ""
        if len(raw) > longest:
            self.wrong(where, f"has more than {longest} characters")
        return raw.strip()

    def text(self, where: str, raw: Any, longest: int = 200) -> str:
        """A text that may be left out."""
        return "" if raw in _MISSING else self.word(where, raw, longest)

    def words(self, where: str, raw: Any) -> tuple[str, ...]:
        """One text, or a list of texts; none when left out."""
        if raw in _MISSING:
            return ()
        entries = [raw] if isinstance(raw, str) else self.listing(where, raw)
        return tuple(self.word(f"{where}[{i}]", each) for i, each in enumerate(entries))

    def choice(self, where: str, raw: Any, choices: Sequence[str]) -> str:
        """One of these words."""
        if raw not in choices:
            self.wrong(where, f"must be one of {', '.join(choices)}")
            return choices[0]
        return str(raw)

    def integer(self, where: str, raw: Any, low: int, high: int) -> int:
        """A whole number within limits."""
        text = str(raw)
        if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
            self.wrong(where, f"must be a whole number from {low} to {high}")
            return low
        if not low <= int(text) <= high:
            self.wrong(where, f"must be a whole number from {low} to {high}")
            return low
        return int(text)

    def number(
        self,
        where: str,
        raw: Any,
        places: int = 6,
        *,
        positive: bool = False,
        negative: bool = False,
    ) -> Decimal:
        """A number with its digits as written; a binary float has lost them already."""
        if raw in _MISSING:
            self.wrong(where, "is missing")
            return Decimal(0)
        if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
            self.wrong(where, 'must be a number written as text, such as "0.538"')
            return Decimal(0)
        if not _NUMBER.fullmatch(str(raw)):
            self.wrong(where, f"{str(raw)!r} is not a number such as 0.538")
            return Decimal(0)
        value = Decimal(str(raw))
        if positive and value <= 0:
            self.wrong(where, "must be above zero")
        elif value < 0 and not negative:
            self.wrong(where, "must not be negative")
        if value != value.quantize(Decimal(1).scaleb(-places)):
            self.wrong(where, f"has more than {places} decimal places")
        return value

    def day(self, where: str, raw: Any) -> date:
        """A date such as 2026-01-31."""
        try:
            return date.fromisoformat(str(raw))
        except ValueError:
            self.wrong(where, "must be a date such as 2026-01-31")
            return date(1970, 1, 1)

    def flag(self, where: str, raw: Any) -> bool:
        """Yes or no, true or false."""
        if isinstance(raw, bool):
            return raw
        found = _FLAGS.get(str(raw).lower())
        if found is None:
            self.wrong(where, "must be yes or no")
        return bool(found)
