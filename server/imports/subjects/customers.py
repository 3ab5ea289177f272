"""Files of customers: who they are, how to reach them, their accounts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from server.accounts.models import (
    ACCOUNT_MODES,
    ACCOUNT_STATUSES,
    Account,
    Contact,
    Customer,
    ServicePoint,
)
from server.billing.models import Journal, LedgerLine, Tariff, UsageYear
from server.billing.rules.chart import OPENING
from server.billing.service import OpeningBalance, post_opening_balance, post_opening_usage
from server.db import Session, insert_rows, take_ids, update_rows
from server.imports import fields
from server.imports.store import audit_changes, count, ids_of, touch_points, upsert
from server.imports.subject import Chunk, Column, Row, Subject

CUSTOMER_COLUMNS = ("name", "customer_class", "credit_class", "attributes")
CONTACT_COLUMNS = ("name", "kind", "email", "language", "consent", "verified", "is_default")
ACCOUNT_COLUMNS = (
    "customer_id",
    "account_class",
    "mode",
    "status",
    "tariff_code",
    "alert_threshold",
    "household",
    "supplied_since",
)


def load_customers(session: Session, chunk: Chunk) -> None:
    """Store customers; handhelds learn of a changed name."""
    wanted = {
        row["customer_no"]: {column: row[column] for column in CUSTOMER_COLUMNS}
        for row in chunk.rows
    }
    stored = upsert(
        session, chunk, Customer, wanted, key="customer_no", may_change=CUSTOMER_COLUMNS
    )
    if chunk.tally.changed:
        points = select(ServicePoint.id).join(Account).where(Account.customer_id.in_(stored.fresh))
        touch_points(session, session.execute(points).scalars())


def load_contacts(session: Session, chunk: Chunk) -> None:
    """Store contacts by customer and phone; without a phone by customer and name."""
    customers = ids_of(session, Customer, "customer_no", chunk.values("customer_no"))
    chunk.require("customer_no", customers, "customer")
    existing = _contacts(session, sorted(customers.values()))
    new: list[dict[str, Any]] = []
    changes: dict[int, dict[str, Any]] = {}
    after: dict[int, dict[str, Any]] = {}
    rows = chunk.rows
    for row in rows:
        customer = customers[row["customer_no"]]
        values = {column: row[column] for column in CONTACT_COLUMNS}
        values["consent"] = dict.fromkeys(row["consent"], True)
        before = existing.get((customer, row["phone"] or row["name"]))
        if before is None:
            new.append({"customer_id": customer, "phone": row["phone"], **values})
        elif any(before[column] != values[column] for column in CONTACT_COLUMNS):
            changes[before["id"]], after[before["id"]] = before, values
    ids = take_ids(session, {Contact: len(new)}).get(Contact, [])
    insert_rows(
        session,
        Contact,
        [{"id": i, "created_at": chunk.now, **row} for i, row in zip(ids, new, strict=True)],
    )
    update_rows(session, Contact, ("id",), [{"id": i, **values} for i, values in after.items()])
    audit_changes(session, chunk, "contact", changes, after, CONTACT_COLUMNS)
    count(chunk, len(new), len(changes), len(rows) - len(new) - len(changes))


def _contacts(session: Session, customers: list[int]) -> dict[tuple[int, str], dict[str, Any]]:
    """The contacts of customers by their phone, or by their name where they have none."""
    columns = [getattr(Contact, column) for column in ("id", "customer_id", "phone")]
    columns += [getattr(Contact, column) for column in CONTACT_COLUMNS]
    rows = session.execute(select(*columns).where(Contact.customer_id.in_(customers))).mappings()
    return {(row["customer_id"], row["phone"] or row["name"]): dict(row) for row in rows}


def load_accounts(session: Session, chunk: Chunk) -> None:
    """Store accounts, then what they come with: a balance and the use of the year so far."""
    customers = ids_of(session, Customer, "customer_no", chunk.values("customer_no"))
    chunk.require("customer_no", customers, "customer")
    chunk.require("tariff_code", set(session.execute(select(Tariff.code)).scalars()), "tariff")
    existing = ids_of(session, Account, "account_no", chunk.values("account_no"))
    _refuse_other_opening(session, chunk, existing)
    _refuse_other_year(session, chunk, existing)
    wanted = {
        row["account_no"]: {
            **{column: row[column] for column in ACCOUNT_COLUMNS if column != "customer_id"},
            "customer_id": customers[row["customer_no"]],
        }
        for row in chunk.rows
    }
    stored = upsert(session, chunk, Account, wanted, key="account_no", may_change=ACCOUNT_COLUMNS)
    _post_openings(session, chunk.rows, stored.ids)
    _post_years(session, chunk, stored.ids)


def _refuse_other_opening(session: Session, chunk: Chunk, ids: Mapping[str, int]) -> None:
    """An opening balance is posted once for ever; another one later is a mistake."""
    rows = session.execute(
        select(LedgerLine.account_id, LedgerLine.debit, LedgerLine.credit)
        .join(Journal, Journal.id == LedgerLine.journal_id)
        .where(
            Journal.source_key.in_([f"opening:{number}" for number in ids.values()]),
            LedgerLine.ledger == OPENING,
        )
    )
    posted = {account: debit - credit for account, debit, credit in rows}
    for row in chunk.rows:
        before = posted.get(ids.get(row["account_no"]))
        given = row["opening_balance"]
        if before is not None and given is not None and before != given:
            reason = f"cannot change: {before} has been posted; post a correction instead"
            chunk.refuse(row, "opening_balance", "import.opening_posted", reason)


def _refuse_other_year(session: Session, chunk: Chunk, ids: Mapping[str, int]) -> None:
    """What was used before this system cannot change once bills have filled tiers with it."""
    rows = session.execute(
        select(UsageYear.account_id, UsageYear.year, UsageYear.opening).where(
            UsageYear.account_id.in_(ids.values()), UsageYear.quantity != UsageYear.opening
        )
    )
    billed = {(account, year): opening for account, year, opening in rows}
    for row in chunk.rows:
        key = (ids.get(row["account_no"], 0), _year(row, chunk.now.astimezone(chunk.locale.zone)))
        if row["year_to_date"] not in (None, billed.get(key, row["year_to_date"])):
            reason = f"cannot change: bills stand on {billed[key]}"
            chunk.refuse(row, "year_to_date", "import.year_billed", reason)


def _post_openings(session: Session, rows: list[Row], ids: Mapping[str, int]) -> None:
    openings = [
        OpeningBalance(ids[row["account_no"]], row["opening_balance"])
        for row in rows
        if row["opening_balance"] is not None
    ]
    if openings:
        post_opening_balance(session, openings)


def _post_years(session: Session, chunk: Chunk, ids: Mapping[str, int]) -> None:
    today = chunk.now.astimezone(chunk.locale.zone)
    used = {
        (ids[row["account_no"]], _year(row, today)): row["year_to_date"]
        for row in chunk.rows
        if row["year_to_date"] is not None
    }
    post_opening_usage(session, used)


def _year(row: Row, now: datetime) -> int:
    return int(row["year"] or now.year)


CUSTOMERS = Subject(
    "customers.csv",
    "The people and companies we serve",
    (
        Column("customer_no", fields.text(40), "Number of the customer.", "C00001", required=True),
        Column("name", fields.text(120), "Name.", "客户 001", required=True),
        Column("customer_class", fields.text(40), "Class.", "residential", default="residential"),
        Column("credit_class", fields.text(40), "Credit class.", "A"),
        Column(
            "attributes", fields.json_object, "Anything else, as JSON.", '{"floor": 3}', default={}
        ),
    ),
    ("customer_no",),
    load_customers,
)

CONTACTS = Subject(
    "contacts.csv",
    "Whom to reach for a customer; bills go by text to the default contact",
    (
        Column("customer_no", fields.text(40), "Number of the customer.", "C00001", required=True),
        Column("name", fields.text(120), "Name.", "客户 001", required=True),
        Column("phone", fields.phone, "Phone, with + or of the import's region.", "13800138000"),
        Column("email", fields.email, "E-mail address.", "c001@example.com"),
        Column("kind", fields.text(24), "What he is to the customer.", "holder", default="holder"),
        Column("language", fields.language, "Language of his texts.", "zh_Hans", default="zh_Hans"),
        Column(
            "consent",
            fields.words,
            "Categories he agreed to, by semicolons.",
            "marketing",
            default=(),
        ),
        Column("verified", fields.yes_no, "Whether the phone was checked.", "yes", default=False),
        Column("is_default", fields.yes_no, "Whether texts go to him.", "yes", default=True),
    ),
    ("customer_no", "phone|name"),
    load_contacts,
)

ACCOUNTS = Subject(
    "accounts.csv",
    "Contract holders' accounts with what they owe or have paid in advance",
    (
        Column("account_no", fields.text(40), "Number of the account.", "100001", required=True),
        Column("customer_no", fields.text(40), "Whose it is.", "C00001", required=True),
        Column("account_class", fields.text(40), "Class.", "residential", default="residential"),
        Column(
            "mode", fields.choice(ACCOUNT_MODES), "When it pays.", "postpaid", default="postpaid"
        ),
        Column("status", fields.choice(ACCOUNT_STATUSES), "State.", "active", default="active"),
        Column(
            "tariff_code", fields.text(40), "Its tariff.", "zhejiang-residential", required=True
        ),
        Column("alert_threshold", fields.number(4), "Balance below which it is told.", "50"),
        Column("household", fields.whole(1, 1000), "Persons; some tariffs give more to many.", "3"),
        Column("supplied_since", fields.day, "The day the supply began.", "2026-03-01"),
        Column(
            "opening_balance",
            fields.number(4),
            "Balance at the take-over: below zero is owed. Posted once, never changed.",
            "-12.30",
        ),
        Column(
            "year_to_date",
            fields.number(6, Decimal(0)),
            "Quantity billed since 1 January, which fills the tiers.",
            "1455",
        ),
        Column("year", fields.whole(1990, 2200), "Its year; this year when empty.", "2026"),
    ),
    ("account_no",),
    load_accounts,
)
