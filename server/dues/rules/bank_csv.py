"""Bank files: rows of payments as CSV, with the column names that banks use."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from server.errors import Invalid

COLUMNS = {
    "reference": ("reference", "ref", "流水号", "交易流水号", "transaction"),
    "account_no": ("account_no", "account", "户号", "客户编号"),
    "amount": ("amount", "金额", "交易金额", "缴费金额"),
    "paid_on": ("paid_on", "date", "日期", "交易日期", "缴费日期"),
    "payer": ("payer", "name", "付款人", "户名"),
    "bill_no": ("bill_no", "bill", "账单号"),
}
NEEDED = ("reference", "account_no", "amount")
MOST_ROWS = 200_000
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S")


@dataclass(frozen=True, slots=True)
class BankLine:
    """A row as the bank wrote it; ``problem`` says why it cannot be used."""

    position: int
    reference: str | None
    account_no: str | None
    amount: Decimal | None
    paid_on: date | None
    payer: str | None
    bill_no: str | None
    problem: str | None = None


def read_text(content: bytes) -> str:
    """The text of a file in UTF-8 or in the coding of Chinese banks.

    Raises:
        Invalid: ``bank_file.encoding``.
    """
    for coding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(coding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise Invalid("bank_file.encoding", "The file is neither UTF-8 nor GB 18030 text.")


def read_lines(text: str) -> Iterator[BankLine]:
    """The rows of a bank file; a row that cannot be used says why.

    Raises:
        Invalid: ``bank_file.columns`` when a needed column is missing, ``bank_file.too_long``.
    """
    rows = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in text[:500] else ",")
    header = [cell.strip().lower() for cell in next(rows, [])]
    places = {
        name: next((i for i, cell in enumerate(header) if cell in names), None)
        for name, names in COLUMNS.items()
    }
    missing = [name for name in NEEDED if places[name] is None]
    if missing:
        told = {"missing": missing, "found": header[:20]}
        raise Invalid("bank_file.columns", f"The file has no column {', '.join(missing)}.", told)
    position = 0
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        position += 1
        if position > MOST_ROWS:
            raise Invalid("bank_file.too_long", f"A file has {MOST_ROWS} rows at most.")
        cells = {
            name: row[i].strip()[:120] or None if i is not None and i < len(row) else None
            for name, i in places.items()
        }
        yield _line(position, cells)


def _line(position: int, cells: dict[str, str | None]) -> BankLine:
    problems = []
    amount = _amount(cells["amount"])
    if amount is None:
        problems.append(f"amount {cells['amount'] or ''!r}")
    day = _day(cells["paid_on"])
    if day is None and cells["paid_on"]:
        problems.append(f"date {cells['paid_on']!r}")
    reference, account_no = cells["reference"], cells["account_no"]
    if not reference or len(reference) > 100:
        problems.append("no reference")
    if not account_no or len(account_no) > 40:
        problems.append("no account number")
    return BankLine(
        position,
        reference[:100] if reference else None,
        account_no[:40] if account_no else None,
        amount,
        day,
        cells["payer"],
        cells["bill_no"],
        ", ".join(problems)[:160] or None,
    )


def _amount(text: str | None) -> Decimal | None:
    try:
        amount = Decimal((text or "").replace(",", "").removeprefix("¥").removeprefix("￥"))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 < amount < 10**9:
        return None
    return amount if amount == amount.quantize(Decimal("0.01")) else None


def _day(text: str | None) -> date | None:
    for form in _DATES:
        try:
            return datetime.strptime(text or "", form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    return None
