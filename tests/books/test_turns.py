from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import select

from server import clock
from server.accounts.models import Account, Customer, ServicePoint
from server.audit import AuditEvent
from server.billing.models import Bill
from server.billing.rules.chart import CASH_COUNTER, RECEIVABLE
from server.billing.service import put_tariff, read_tariff_file
from server.billing.service.ledger import Entry, Posting, balances, post
from server.billing.service.tariffs import SHIPPED
from server.books import accounts as turns
from server.books.proof import differences
from server.db import transaction
from server.errors import Conflict, DomainError, Forbidden, Invalid, NotFound
from server.identity.actor import SYSTEM, Actor
from server.metering.models import Consumption, ReadOrder
from server.metering.service import open_orders, record
from tests.billing.test_bills import WIDE
from tests.metering.world import DUE, NOW, build, october, rows

NOVEMBER = datetime(2026, 11, 30, 3, tzinfo=UTC)


@pytest.fixture
def session(app):
    with app.app_context(), transaction() as opened:
        yield opened


@pytest.fixture
def world(session):
    made = build(session, 2, read_and_bill=False)
    open_orders(session, [made.route_id], "2026-10", DUE)
    return made


def turn(value, at=NOW, **more):
    return turns.Turn(at, "asked for it", {"M0": {"total": Decimal(value)}}, **more)


def account(session, number):
    return session.get_one(Account, number, populate_existing=True)


def status_of_point(session, world):
    return session.scalar(select(ServicePoint.status).where(ServicePoint.id == world.points[0]))


def test_a_closed_account_has_a_final_bill_no_orders_and_takes_no_second_turn(session, world):
    done = turns.close_account(session, SYSTEM, world.accounts[0], turn(1230))
    assert [bill.total for bill in done.bills] == [Decimal("123.74")]
    assert done.balance == Decimal("-123.74")
    assert account(session, world.accounts[0]).status == "closed"
    assert status_of_point(session, world) == "inactive"
    orders = {order.service_point_id: order.status for order in rows(session, ReadOrder)}
    assert orders == {world.points[0]: "cancelled", world.points[1]: "open"}
    with pytest.raises(Conflict, match="closed"):
        turns.suspend(session, SYSTEM, world.accounts[0], turn(1240))
    assert "account.close" in {event.action for event in rows(session, AuditEvent)}
    assert list(differences(session)) == []


def test_a_balance_is_moved_by_a_journal_of_its_own(session, world):
    one, two = world.accounts
    sides = (
        Entry(CASH_COUNTER, None, "CNY", debit=Decimal(200)),
        Entry(RECEIVABLE, one, "CNY", credit=Decimal(200)),
    )
    post(session, [Posting("paid:1", "payment", sides)])
    with pytest.raises(Conflict, match="another"), session.begin_nested():
        turns.close_account(session, SYSTEM, one, turn(1230), balance_to=one)
    done = turns.close_account(session, SYSTEM, one, turn(1230), balance_to=two)
    assert done.balance == 0
    assert balances(session, [one, two], "CNY") == {one: 0, two: Decimal("76.26")}
    assert list(differences(session)) == []


def test_after_a_handover_the_new_holder_pays_from_the_final_reading_on_and_starts_his_year(
    session, world
):
    other = Customer(customer_no="C9", name="新户")
    session.add(other)
    session.flush()
    done = turns.hand_over(
        session,
        SYSTEM,
        world.accounts[0],
        turn(4100, sure=True),
        customer_id=other.id,
        account_no="A9",
    )
    assert [bill.quantity for bill in done.bills] == [3100]
    clock.set(NOVEMBER)
    open_orders(session, [world.route_id], "2026-11", NOVEMBER.date())
    record(session, [world.capture(0, 4300, NOVEMBER)], WIDE)
    use = session.scalars(select(Consumption).order_by(Consumption.id.desc())).first()
    assert (use.account_id, use.quantity) == (done.new_account_id, 200)
    new = account(session, done.new_account_id)
    assert (new.account_no, new.tariff_code) == ("A9", "zhejiang-residential")
    closed = turns.close_account(session, SYSTEM, new.id, turns.Turn(NOVEMBER, "moved out", {}))
    assert [bill.total for bill in closed.bills] == [Decimal("107.60")]
    assert list(differences(session)) == []


def test_a_suspended_account_is_resumed_with_what_its_dial_shows_then(session, world):
    one = world.accounts[0]
    turns.suspend(session, SYSTEM, one, turn(1230))
    assert (account(session, one).status, status_of_point(session, world)) == (
        "suspended",
        "inactive",
    )
    with pytest.raises(Conflict, match="suspended already"):
        turns.suspend(session, SYSTEM, one, turn(1230))
    clock.set(NOVEMBER)
    done = turns.resume(session, SYSTEM, one, turn(1230, NOVEMBER))
    assert (account(session, one).status, status_of_point(session, world)) == ("active", "active")
    assert sum(bill.total for bill in done.bills) == 0
    with pytest.raises(Conflict, match="not suspended"):
        turns.resume(session, SYSTEM, one, turn(1230, NOVEMBER))


def test_a_change_of_class_bills_the_old_prices_first(session, world):
    one = world.accounts[0]
    put_tariff(session, read_tariff_file(SHIPPED / "zhejiang-shared-meter.yaml"))
    changed = {"account_class": "shared_low_voltage", "tariff_code": "zhejiang-shared-meter"}
    (bill,) = turns.change_class(session, SYSTEM, one, turn(1230, october(20)), **changed).bills
    assert bill.total == Decimal("123.74")
    record(session, [world.capture(0, 1330)], WIDE)
    turns.close_account(session, SYSTEM, one, turns.Turn(NOW, "moved out", {}))
    old, new = rows(session, Bill)
    assert old.tariff_version_id != new.tariff_version_id
    assert (new.quantity, new.period_from) == (100, old.period_to.replace(day=21))


def test_a_turn_that_cannot_be_done_whole_is_not_done_at_all(session, world):
    one = world.accounts[0]
    at, why = NOW, "asked for it"
    refused: list[tuple[turns.Turn, type[DomainError], str]] = [
        (turn(900), Conflict, "account.reading_held"),
        (turns.Turn(at, why, {}), Conflict, "account.no_reading"),
        (turns.Turn(at, why, {"M1": {"total": Decimal(1)}}), NotFound, "account.other_point"),
        (turns.Turn(at, " ", {}), Invalid, "account.reason"),
        (turn(1230, NOVEMBER), Invalid, "account.future"),
    ]
    for each, error, code in refused:
        with pytest.raises(error) as caught, session.begin_nested():
            turns.close_account(session, SYSTEM, one, each)
        assert caught.value.code == code
        session.expire_all()
        assert account(session, one).status == "active"
    nobody = Actor(kind="staff", id=3, name="抄表员", staff_id=3)
    with pytest.raises(Forbidden):
        turns.close_account(session, nobody, one, turn(1230))
    with pytest.raises(NotFound):
        turns.close_account(session, SYSTEM, 999, turn(1230))
    assert rows(session, Bill) == []
