from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text, update

from server import clock
from server.audit import AuditEvent
from server.billing.models import AccountBalance, Bill, LedgerLine, UsageYear
from server.billing.rules.chart import CASH_COUNTER, CHART, RECEIVABLE, REVENUE_ENERGY, income_of
from server.billing.service import OpeningBalance, export, periods, post_opening_balance, reconcile
from server.billing.service.ledger import Entry, Posting, balances, lock_accounts, post, reverse
from server.billing.service.reconcile import differences
from server.db import is_postgresql, transaction
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.identity.actor import SYSTEM, Actor
from tests.billing.test_bills import read_and_bill
from tests.metering.world import build, rows

DECEMBER = datetime(2026, 12, 2, tzinfo=UTC)
IN_OCTOBER = datetime(2026, 10, 15, tzinfo=UTC)
NOBODY = Actor(kind="staff", id=3, name="抄表员", staff_id=3)


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened


def paid(account_id, amount, key="p:1", unit="CNY", **more):
    sides = (
        Entry(CASH_COUNTER, None, unit, debit=Decimal(amount)),
        Entry(RECEIVABLE, account_id, unit, credit=Decimal(amount)),
    )
    return Posting(key, "payment", sides, **more)


def test_r1_postings_change_the_cached_balances_by_their_lines_in_every_unit(session):
    world = build(session, 2)
    one, two = world.accounts
    lock_accounts(session, world.accounts)
    ids = post(
        session,
        [
            paid(one, 10),
            paid(two, "20.5", "p:2"),
            paid(one, 5, "p:3"),
            paid(one, 100, "p:4", unit="points"),
            paid(one, 7, "p:5", unit="product:12"),
        ],
    )
    assert len(set(ids)) == 5
    assert balances(session, world.accounts, "CNY") == {one: 15, two: Decimal("20.5")}
    assert balances(session, [one], "points") == {one: 100}
    last = session.scalar(
        select(func.max(LedgerLine.id)).where(
            LedgerLine.account_id == one, LedgerLine.unit == "CNY"
        )
    )
    kept = select(AccountBalance.last_line_id).where(
        AccountBalance.account_id == one, AccountBalance.unit == "CNY"
    )
    assert session.scalar(kept) == last
    assert reconcile(session) == []


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ((), "ledger.unbalanced"),
        ((Entry(RECEIVABLE, 1, "CNY", debit=Decimal(1)),), "ledger.unbalanced"),
        (
            (
                Entry(RECEIVABLE, 1, "CNY", debit=Decimal(1)),
                Entry(REVENUE_ENERGY, 1, "points", credit=Decimal(1)),
            ),
            "ledger.unbalanced",
        ),
        ((Entry("nowhere", 1, "CNY"),), "ledger.unknown"),
    ],
)
def test_what_does_not_balance_or_has_no_ledger_is_not_posted(session, entries, code):
    with pytest.raises(Invalid) as caught:
        post(session, [Posting("x:1", "test", entries)])
    assert caught.value.code == code


def test_a_reversal_mirrors_a_journal_once(session):
    world = build(session)
    (journal,) = post(session, [paid(world.accounts[0], 10)])
    reverse(session, journal, SYSTEM, "bounced")
    assert balances(session, world.accounts, "CNY") == {world.accounts[0]: 0}
    assert reconcile(session) == []
    with pytest.raises(Conflict, match="reversed"):
        reverse(session, journal, SYSTEM, "bounced")
    with pytest.raises(NotFound):
        reverse(session, 999, SYSTEM, "bounced")
    with pytest.raises(Invalid):
        reverse(session, journal, SYSTEM, " ")


def test_nothing_is_posted_into_a_closed_period_until_it_is_opened_again(session):
    world = build(session)
    account = world.accounts[0]
    post(session, [paid(account, 10, posted_at=IN_OCTOBER)])
    clock.set(DECEMBER)
    periods.close(session, SYSTEM, "2026-10", differences)
    with pytest.raises(Conflict) as caught:
        post(session, [paid(account, 5, "p:2", posted_at=IN_OCTOBER)])
    assert (caught.value.code, caught.value.details) == (
        "ledger.period_closed",
        {"periods": ["2026-10"]},
    )
    with pytest.raises(Conflict, match="closed"):
        post_opening_balance(session, [OpeningBalance(account, Decimal(1))], IN_OCTOBER)
    post(session, [paid(account, 5, "p:2")])
    periods.reopen(session, SYSTEM, "2026-10", "a payment was forgotten")
    post(session, [paid(account, 5, "p:3", posted_at=IN_OCTOBER)])
    actions = [event.action for event in rows(session, AuditEvent)]
    assert actions == ["period.close", "period.reopen"]


def test_a_period_closes_in_its_turn_with_clean_books_by_whoever_may(session):
    world = build(session)
    account = world.accounts[0]
    post(session, [paid(account, 10, posted_at=IN_OCTOBER)])
    with pytest.raises(Conflict, match="not ended"):
        periods.close(session, SYSTEM, "2026-10", differences)
    clock.set(DECEMBER)
    with pytest.raises(Forbidden):
        periods.close(session, NOBODY, "2026-10", differences)
    with pytest.raises(Forbidden):
        periods.reopen(session, NOBODY, "2026-10", "because")
    with pytest.raises(Conflict, match="2026-10 is open"):
        periods.close(session, SYSTEM, "2026-11", differences)
    session.execute(update(AccountBalance).values(balance=Decimal(1)))
    with pytest.raises(Conflict) as caught:
        periods.close(session, SYSTEM, "2026-10", differences)
    assert caught.value.code == "ledger.not_clean"
    session.execute(update(AccountBalance).values(balance=Decimal(10)))
    periods.close(session, SYSTEM, "2026-10", differences)
    periods.close(session, SYSTEM, "2026-11", differences)
    with pytest.raises(Conflict, match="2026-11 is closed"):
        periods.reopen(session, SYSTEM, "2026-10", "because")
    with pytest.raises(Conflict, match="open"):
        periods.reopen(session, SYSTEM, "2026-09", "because")


PLANTED = {
    "balance": update(AccountBalance).values(balance=AccountBalance.balance + 1),
    "balance.last_line": update(AccountBalance).values(last_line_id=1),
    "bill.total": "UPDATE bill SET total = total + 100",
    "bill.journal": "UPDATE journal SET source_key = 'other:' || id",
    "bill.quantity": "UPDATE consumption SET bill_id = NULL",
    "bill.cancellation": update(Bill).values(status="cancelled"),
    "journal.unbalanced": "UPDATE ledger_line SET credit = credit + 1 WHERE credit > 0",
    "usage_year": update(UsageYear).values(quantity=UsageYear.quantity + 1),
}


def test_reconcile_finds_each_kind_of_planted_difference(session):
    world = build(session)
    post(session, [paid(world.accounts[0], 10)])
    read_and_bill(session, world, 1230)
    _without_guards(session)
    for what, planted in PLANTED.items():
        assert reconcile(session) == []
        with session.begin_nested() as attempt:
            session.execute(text(planted) if isinstance(planted, str) else planted)
            assert what in {found.what for found in reconcile(session)}
            attempt.rollback()


def _without_guards(session):
    """Take the triggers away that refuse what is planted here; the transaction is thrown away."""
    if is_postgresql(session):
        session.execute(text("SET LOCAL session_replication_role = replica"))
        return
    names = session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
    for name in names:
        session.execute(text(f'DROP TRIGGER "{name}"'))


def test_the_export_adds_up_by_period_and_account_of_the_chart(session):
    world = build(session)
    post(session, [paid(world.accounts[0], 10, posted_at=IN_OCTOBER)])
    read_and_bill(session, world, 1230)
    found = list(export.sums(session, "2026-09", "2026-10"))
    assert found == [
        ("2026-10", "1001.01", "cash.counter", "asset", "CNY", 1, 10, 0),
        ("2026-10", "1122", "receivable", "asset", "CNY", 2, Decimal("123.74"), 10),
        ("2026-10", "6001.01", "revenue.energy", "income", "CNY", 1, 0, Decimal("123.74")),
        ("2026-10", "", "total", "", "CNY", 4, Decimal("133.74"), Decimal("133.74")),
    ]
    lines = list(export.lines(session, "2026-10", "2026-10"))
    assert [line[6] for line in lines][:2] == ["cash.counter", "receivable"]
    assert {len(line) for line in lines} == {len(export.LINE_COLUMNS)}
    assert list(export.lines(session, "2026-11", "2026-11")) == []


@pytest.mark.parametrize(("first", "last"), [("2026-1", "2026-2"), ("2026-02", "2026-01")])
def test_an_export_needs_periods_that_follow_each_other(first, last):
    with pytest.raises(Invalid):
        export.periods_between(first, last)


def test_periods_follow_each_other_over_the_year():
    assert export.periods_between("2026-11", "2027-02") == [
        "2026-11",
        "2026-12",
        "2027-01",
        "2027-02",
    ]


def test_the_chart_numbers_every_ledger_once_and_knows_what_every_component_earns():
    assert len({ledger.number for ledger in CHART.values()}) == len(CHART)
    kinds = ("energy", "fixed", "minimum", "tax", "surcharge", "discount")
    assert {income_of(kind) for kind in kinds} <= set(CHART)
