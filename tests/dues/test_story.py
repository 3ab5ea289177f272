from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import select

from server import clock
from server.billing.models import Bill, UsageYear
from server.billing.rules.classes import BillingRules
from server.books.proof import differences
from server.capture.settle import replace_confirmed, settle_readings
from server.db import transaction
from server.dues.models import Payment
from server.dues.service import NewPayment, cancel_bill, receive_one
from server.dues.service import payments as taking
from server.identity.actor import Actor
from server.metering.models import Reading, ReadOrder
from server.metering.service import open_orders
from tests.dues.world import actor
from tests.metering.world import DUE, NOW, boss, build

_RIGHTS = {("readings", "release"): "all", ("bills", "cancel"): "all"}


def test_field_story_6_a_reading_is_confirmed_billed_and_paid_then_a_re_read_shows_a_misread(app):
    """Cancelled and billed again: the tiers of the year, the balance and the credit are right."""
    with app.app_context(), transaction() as session:
        world = build(session)
        account_id = world.accounts[0]
        open_orders(session, [world.route_id], "2026-10", DUE)
        order = session.scalars(select(ReadOrder.id)).one()
        rules = BillingRules()
        [first] = settle_readings(session, [world.capture(0, 1300, order_id=order)], rules)
        assert first.verdict == "applied"
        wrong = session.scalars(select(Bill)).one()
        paid = receive_one(
            session,
            NewPayment("story", "counter", "card", wrong.total, account_id),
            actor(),
        )
        assert paid.credit == 0
        clock.set(NOW + timedelta(hours=6))
        again = world.capture(0, 1030, NOW + timedelta(hours=5), order_id=order)
        [held] = settle_readings(session, [again], rules)
        assert held.verdict in ("held", "conflict")
        chief = Actor("staff", boss().id, "王主管", staff_id=boss().staff_id, rights=_RIGHTS)
        cancel_bill(session, chief, wrong.id, "misread: 1300 instead of 1030")
        reread = session.scalars(select(Reading).where(Reading.status == "held")).one()
        replace_confirmed(session, chief, reread.id, "seen on the photo", rules)
        right = session.scalars(
            select(Bill).where(Bill.kind == "bill", Bill.status == "issued")
        ).one()
        assert (wrong.quantity, right.quantity) == (Decimal(300), Decimal(30))
        year = session.get_one(UsageYear, (account_id, 2026), populate_existing=True)
        assert year.quantity == 30
        told = taking.receipt_of(session, session.get_one(Payment, paid.payment_id))
        assert [(p.bill_no, p.amount) for p in told.settled] == [(right.bill_no, right.total)]
        assert told.credit == wrong.total - right.total == Decimal("145.26")
        assert list(differences(session)) == []
