"""Payments through the faces of the product: the API, a handheld, the pages of the counter."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from server import clock
from server.billing.service import OpeningBalance, post_opening_balance
from server.books.proof import differences
from server.db import snapshot, transaction
from server.dues.models import Payment, Till, TillSession
from server.dues.service import tills
from server.identity.actor import SYSTEM
from server.notify.models import OutboxMessage
from server.review import ReviewItem
from tests import world as worlds
from tests.capture.test_item_types import item
from tests.capture.test_readings_api import Office, person
from tests.console.office import Desk, hire
from tests.sync.conftest import Handheld, verdicts


@pytest.fixture
def world(app):
    made = worlds.build(app)
    with app.app_context(), transaction() as session:
        post_opening_balance(
            session, [OpeningBalance(point.account_id, Decimal(-100)) for point in made.points]
        )
    yield made
    with app.app_context(), snapshot() as session:
        assert list(differences(session)) == []


def caught(pattern: str, page: str) -> str:
    """What the group of a pattern is on a page that must have it."""
    match = re.search(pattern, page)
    assert match is not None, pattern
    return match[1]


def test_the_api_takes_a_payment_once_and_tells_what_is_owed(app, world):
    office = Office(app, person(app, world, "bank", ["cashier"]))

    def ask(method, path, status, **more):
        answer = getattr(office.client, method)(
            path, headers=office.headers | more.pop("h", {}), **more
        )
        assert answer.status_code == status, answer.text
        return answer.json

    number = world.points[0].account_no
    given = {"external_ref": "wx-1", "account_no": number, "amount": "60.50"}
    first = ask("post", "/api/v1/payments", 201, json=given, h={"Idempotency-Key": "wx-1"})
    again = ask("post", "/api/v1/payments", 200, json=given)
    assert again == first | {"replayed": True}
    assert (first["status"], first["earlier"], first["account_no"]) == (
        "received",
        "60.5000",
        number,
    )
    refused = ask("post", "/api/v1/payments", 409, json=given | {"amount": "60.51"})
    assert refused["code"] == "payment.ref_reused"
    assert (
        ask("post", "/api/v1/payments", 422, json=given | {"amount": "0"})["code"]
        == "payment.amount"
    )
    ask("post", "/api/v1/payments", 422, json=given, h={"Idempotency-Key": "other"})
    lost = given | {"external_ref": "wx-2", "account_no": "nobody"}
    assert ask("post", "/api/v1/payments", 404, json=lost)["code"] == "payment.unknown_account"
    waiting = ask("post", "/api/v1/payments", 201, json=lost | {"suspense": True})
    assert (waiting["status"], waiting["account_no"]) == ("suspense", None)
    dues = ask("get", f"/api/v1/accounts/{number}/dues", 200)
    assert (dues["balance"], dues["to_pay"]) == ("-39.5000", "39.5000")
    assert ask("get", f"/api/v1/payments/{first['id']}", 200)["receipt_no"] == first["receipt_no"]
    ask("post", f"/api/v1/payments/{first['id']}/reversal", 403, json={"reason": "bounced"})


def test_money_collected_at_the_door_counts_once_by_its_receipt(app, world):
    handheld = Handheld(app, world.token)
    point = world.points[0]

    def collect(receipt, seq, number=point.account_no, **more):
        data = {"account_no": number, "amount": "40.00", "receipt": receipt, **more}
        return item("payment.v1", data, seq)

    first = collect("A-1", 1)
    assert verdicts(handheld.push(first)) == ["applied"]
    assert verdicts(handheld.push(first)) == ["applied"]
    answer = handheld.push(
        collect("A-1", 2), collect("A-2", 3, "nobody"), collect("A-3", 4, method="wallet")
    )
    assert verdicts(answer) == ["conflict", "held", "applied"]
    with app.app_context(), snapshot() as session:
        assert [amount for _, _, amount in tills.reps_with_cash(session)] == [Decimal(80)]
        lost = session.scalars(select(Payment).where(Payment.status == "suspense")).one()
        waits = session.scalars(
            select(ReviewItem).where(ReviewItem.subject_type == "payment")
        ).one()
        assert (waits.reason, waits.subject_id) == ("payment.unknown_account", str(lost.id))
        texts = session.scalars(select(OutboxMessage.event)).all()
        assert texts.count("payment.received") == 2


def test_a_cashier_works_a_day_at_the_counter(app, world):
    cashier, chief = hire(app, "cashier", "cashier"), hire(app, "chief", "accountant")
    with app.app_context(), transaction() as session:
        till = tills.add_till(session, SYSTEM, "1", "Window 1").id
    desk, office = Desk(app, cashier), Desk(app, chief)
    point = world.points[0]
    account = f"/cashier/{point.account_id}"
    assert "You have no till open" in desk.see(account)
    desk.post(f"/tills/{till}/open", floated="50")
    for wanted in (point.account_no, point.phone, point.serial, "客户 001"):
        assert desk.client.get("/cashier", query_string={"q": wanted}).location == account
    page = desk.see(account)
    key, seen = (caught(rf'name="{n}" value="([^"]+)"', page) for n in ("key", "seen"))
    form = {"key": key, "seen": seen, "method": "cash"}
    assert "Less was given" in desk.post(account, 422, amount="90", given="80", **form).text
    paid = desk.post(account, amount="90", given="100", **form).location
    assert desk.post(account, amount="90", given="100", **form).location == paid
    assert "Change 10.00" in desk.see(paid)
    assert "90.00" in desk.see(paid.split("?")[0] + "/print")
    moved = desk.post(account, 422, amount="10", key="other", seen=seen, method="cash")
    assert "look again" in moved.text
    desk.see("/suspense")
    number = paid.split("?")[0].rsplit("/", 1)[1]
    desk.post(f"/receipts/{number}/reverse", 403, reason="mistake")
    file = (
        io.BytesIO(f"reference,account_no,amount\nB1,{point.account_no},30\nB2,x,5\n".encode()),
        "b.csv",
    )
    came = desk.post("/bank-files", file=file).location
    assert "matched" in desk.see(came)
    waits = office.see("/suspense")
    lost = caught(r'action="(/suspense/\d+)"', waits)
    assert "no such account" in office.post(lost, 404, account_no="y", reason="typo").text.lower()
    office.post(lost, account_no=world.points[1].account_no, reason="typo")
    with app.app_context(), snapshot() as session:
        opened = session.scalars(select(TillSession)).one().id
    assert (
        "A difference needs a reason"
        in desk.post(f"/till-sessions/{opened}/close", 422, counted="120").text
    )
    desk.post(f"/till-sessions/{opened}/close", counted="120", reason="a note too few")
    assert "waits for a second person" in office.see("/tills")
    office.post(f"/till-sessions/{opened}/approve")
    assert "−20.00" in office.see(f"/till-sessions/{opened}")
    desk.post(f"{account}/refund", amount="20", method="wallet", reason="asked for it")
    desk.post(f"{account}/dispute", 403, reason="wrong")
    office.post(f"{account}/dispute", reason="wrong meter")
    assert "wrong meter" in office.see("/debts")
    end = caught(r'action="(/disputes/\d+)"', office.see("/debts"))
    office.post(end, outcome="the meter is right")
    assert "the meter is right" in office.see(account)
    clock.set(clock.now() + timedelta(days=1))
    with app.app_context(), snapshot() as session:
        assert session.get_one(Till, till).active
    Desk(app, world.reader_id).see("/cashier", 403)
