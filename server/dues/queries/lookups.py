"""Rows by the numbers that people and other systems know them by."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from server.accounts.models import Account
from server.billing.models import Bill
from server.db import Session, among_texts, many_texts, run
from server.dues.models import Payment

_ACCOUNTS = select(Account.account_no, Account.id).where(
    among_texts(Account.account_no, many_texts("numbers"))
)
_BILLS = select(Bill.bill_no, Bill.id, Bill.account_id).where(
    among_texts(Bill.bill_no, many_texts("numbers"))
)
_RECEIPTS = select(Payment.device_receipt).where(
    among_texts(Payment.device_receipt, many_texts("numbers"))
)


def accounts_by_no(session: Session, numbers: Iterable[str | None]) -> dict[str, int]:
    """The ids of accounts by number; unknown numbers are left out."""
    wanted = _texts(numbers)
    return {row[0]: row[1] for row in run(session, _ACCOUNTS, wanted)} if wanted else {}


def bills_by_no(session: Session, numbers: Iterable[str | None]) -> dict[str, tuple[int, int]]:
    """(bill, its account) by bill number; unknown numbers are left out."""
    wanted = _texts(numbers)
    return {row[0]: (row[1], row[2]) for row in run(session, _BILLS, wanted)} if wanted else {}


def used_receipts(session: Session, numbers: Iterable[str | None]) -> set[str]:
    """Those of these receipt numbers of handhelds that stand for a payment already."""
    wanted = _texts(numbers)
    return {row[0] for row in run(session, _RECEIPTS, wanted)} if wanted else set()


def _texts(numbers: Iterable[str | None]) -> dict[str, list[str]]:
    given = sorted({number for number in numbers if number})
    return {"numbers": given} if given else {}
