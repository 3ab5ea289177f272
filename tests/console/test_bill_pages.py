"""Bills on the console: found, explained, put right, run, closed; the turns of an account."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import select

from server import clock
from server.accounts.models import Account
from server.billing.models import AccountingPeriod, Bill, BillRun
from server.db import snapshot
from tests import world as worlds
from tests.console.office import Desk, hire, key

LATER = datetime(2026, 12, 2, tzinfo=UTC)


@pytest.fixture
def world(app):
    return worlds.build(app)


def bills(app):
    with app.app_context(), snapshot() as session:
        return session.scalars(select(Bill).order_by(Bill.id)).all()


def test_a_clerk_finds_a_bill_sees_why_prints_it_and_bills_it_again(app, world):
    who = hire(app, "clerk", "billing_clerk", world.root_id)
    key(app, who, world.points[0], 1200)
    clerk = Desk(app, who)
    (bill,) = bills(app)
    assert bill.bill_no in clerk.see("/bills?kind=bill&period=2026-11")
    assert bill.bill_no not in clerk.see("/bills?kind=credit_note")
    page = clerk.see(f"/bills/{bill.id}")
    assert "0.538" in page
    assert "1,000" in page
    for narrow in ("", "?narrow=1"):
        assert "107.60" in clerk.see(f"/bills/{bill.id}/print{narrow}")
    clerk.post(f"/bills/{bill.id}/cancel", 422, reason=" ")
    clerk.post(f"/bills/{bill.id}/credit", 422, amount="much", reason="rounded")
    clerk.post(f"/bills/{bill.id}/credit", amount="7.60", reason="rounded")
    clerk.post(f"/bills/{bill.id}/cancel", reason="misread", again="1")
    found = bills(app)
    assert [b.kind for b in found] == [
        "bill",
        "credit_note",
        "cancellation",
        "cancellation",
        "bill",
    ]
    assert "misread" in clerk.see(f"/bills/{bill.id}")
    assert str(found[-1].bill_no) in clerk.see(f"/bills/{bill.id}")


def test_a_period_is_billed_closed_exported_and_opened_again_by_whoever_may(app, world):
    who = hire(app, "boss", "admin", world.root_id)
    key(app, who, world.points[0], 1200)
    admin = Desk(app, who)
    admin.post("/bills/runs", period="2026-11", route=str(world.route_id))
    assert "2026-11" in admin.see("/bills/runs")
    with app.app_context(), snapshot() as session:
        run = session.scalars(select(BillRun)).one()
    admin.post(f"/bills/runs/{run.id}/stop")
    clock.set(LATER)
    admin.post("/bills/periods/2026-11", status="closed")
    with app.app_context(), snapshot() as session:
        assert session.scalars(select(AccountingPeriod.status)).all() == ["closed"]
    sums = admin.see("/bills/ledger.csv?period=2026-11")
    assert "2026-11,1122,receivable,asset,CNY,1,107.6" in sums
    assert "bill:" in admin.see("/bills/ledger.csv?period=2026-11&lines=1")
    admin.post("/bills/periods/2026-11", status="open", reason="late")
    with app.app_context(), snapshot() as session:
        assert session.scalars(select(AccountingPeriod.status)).all() == ["open"]
    clerk = Desk(app, hire(app, "clerk", "billing_clerk", world.root_id))
    clerk.see("/bills/periods", 403)


def test_an_account_is_closed_from_its_page_with_the_final_reading(app, world):
    clerk = Desk(app, hire(app, "clerk", "billing_clerk", world.root_id))
    point = world.points[0]
    path = f"/accounts/{point.account_id}/turn"
    for act in ("close", "hand_over", "suspend", "resume", "change_class"):
        assert point.serial in clerk.see(f"{path}?act={act}")
    sent = {"act": "close", "reason": "moved out", f"dial.{point.point_no}.total": "x"}
    clerk.post(path, 422, **sent)
    sent[f"dial.{point.point_no}.total"] = "1200"
    clerk.post(path, **sent)
    with app.app_context(), snapshot() as session:
        assert session.get_one(Account, point.account_id).status == "closed"
    (bill,) = bills(app)
    assert bill.total == Decimal("107.60")
