from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, select

from server import clock
from server.db import snapshot, transaction
from server.dues.models import DisconnectProposal, DunningRun, DunningStep
from server.dues.service import dunning
from server.dues.service.holds import (
    close_dispute,
    open_dispute,
    order_disconnect,
    put_rules,
    withdraw_proposal,
)
from server.errors import Conflict, Invalid
from server.notify.models import Holiday, OutboxMessage
from tests.dues.world import DUE, actor, bill, build, pay

SHANGHAI = ZoneInfo("Asia/Shanghai")


def on(days, hour=10):
    """Set the clock to a number of days after the due date."""
    day = DUE + timedelta(days=days)
    clock.set(datetime(day.year, day.month, day.day, hour, tzinfo=SHANGHAI))


def steps_through(first, last):
    return [(n, count) for n in range(first, last + 1) if (on(n), count := dunning.take_steps())[1]]


def texts(account_id):
    with snapshot() as session:
        return [
            (m.event, m.status, m.text)
            for m in session.scalars(
                select(OutboxMessage)
                .where(OutboxMessage.account_id == account_id, OutboxMessage.event.like("dues.%"))
                .order_by(OutboxMessage.id)
            )
        ]


@pytest.fixture
def world(app):
    with app.app_context():
        with transaction() as session:
            made = build(session, 3)
            for index in range(3):
                bill(session, made, "100", index=index)
        yield made


def test_each_step_is_taken_once_whatever_is_tried_again_and_ends_in_a_proposal(world):
    assert steps_through(0, 60) == [(3, 3), (15, 3), (31, 3), (38, 3)]
    with transaction() as session:
        session.execute(delete(DunningRun))
        on(60)
        again = dunning.steps_of(session, world.accounts, DUE + timedelta(days=60), set())
        assert again == 0
    first = world.accounts[0]
    said = texts(first)
    assert [event for event, _, _ in said] == ["dues.reminder", "dues.demand", "dues.cut_notice"]
    assert "欠费100.00元,逾期31天,违约金3.10元。12月18日前仍未交清将停电" in said[2][2]
    with snapshot() as session:
        proposals = session.scalars(select(DisconnectProposal)).all()
        assert {p.account_id for p in proposals} == set(world.accounts)
        assert {(p.reason, p.state, p.amount) for p in proposals} == {
            ("dunning", "proposed", Decimal(100))
        }


def test_a_payment_a_dispute_and_a_holiday_stop_the_ladder(world):
    paying, disputing, waiting = world.accounts
    with transaction() as session:
        session.add(Holiday(day=DUE + timedelta(days=31), name="节"))
        on(2)
        dispute = open_dispute(session, actor(), disputing, None, "meter is broken").id
        with pytest.raises(Conflict):
            open_dispute(session, actor(), disputing, None, "again")
    assert steps_through(3, 14) == [(3, 2)]
    on(15, hour=22)
    dunning.take_steps()
    held = [status for _, status, _ in texts(paying)]
    with transaction() as session:
        pay(session, world, "102")
    assert held[-1] == "held"
    assert [status for _, status, _ in texts(paying)][-1] == "cancelled"
    assert steps_through(16, 31) == []  # the 31st is a holiday
    assert [n for n, _ in steps_through(32, 50)] == [32, 39]
    assert len(texts(paying)) == len(held)
    with transaction() as session:
        close_dispute(session, actor(), dispute, "the meter is right")
    assert steps_through(51, 70)
    with snapshot() as session:
        taken = session.scalars(
            select(DunningStep.step).where(DunningStep.account_id == waiting)
        ).all()
        assert taken == ["reminder", "demand", "cut_notice", "disconnect"]


def test_a_run_that_stops_goes_on_with_the_accounts_it_has_not_reached(world, monkeypatch):
    monkeypatch.setattr(dunning, "SLICE", 1)
    on(3)
    assert dunning.take_steps(most_slices=1) == 1
    on(3, hour=11)
    assert dunning.take_steps() == 2
    assert dunning.take_steps() == 0
    with snapshot() as session:
        run = session.get_one(DunningRun, DUE + timedelta(days=3))
        assert (run.steps, run.finished_at is not None) == (3, True)


def test_an_ordered_cut_is_told_again_before_it_and_withdrawn_by_a_payment(app):
    with app.app_context():
        with transaction() as session:
            world = build(session, account_class="commercial")
            bill(session, world, "1000")
        assert [n for n, _ in steps_through(0, 40)] == [3, 15, 31, 34]
        with transaction() as session:
            proposal = session.scalars(select(DisconnectProposal)).one()
            with pytest.raises(Invalid):
                order_disconnect(session, actor(), proposal.id, clock.now() + timedelta(minutes=30))
            on(41)
            order_disconnect(session, actor(), proposal.id, clock.now() + timedelta(hours=5))
        event, status, _ = texts(world.accounts[0])[-1]
        assert (event, status in ("queued", "held")) == ("dues.cut_notice", True)
        with transaction() as session:
            pay(session, world, "2000")
        assert texts(world.accounts[0])[-1][1] == "cancelled"
        with transaction() as session:
            proposal = session.scalars(select(DisconnectProposal)).one()
            assert (proposal.state, proposal.why) == ("withdrawn", "paid")
            with pytest.raises(Conflict):
                withdraw_proposal(session, actor(), proposal.id, "too late")


def test_rules_of_the_operator_change_fees_and_steps(world):
    with transaction() as session:
        put_rules(
            session,
            actor(),
            {
                "late_fee": {"classes": {"residential": {"current": "0.01"}}},
                "ladders": {
                    "residential": {
                        "steps": [{"name": "only", "event": "dues.reminder", "after_due": 1}]
                    }
                },
            },
        )
        with pytest.raises(Invalid):
            put_rules(session, actor(), {"allocation": "none"})
    assert steps_through(0, 40) == [(1, 3)]
    with transaction() as session:
        on(10)
        receipt = pay(session, world, "110")
        assert [(p.part, p.amount) for p in receipt.settled] == [
            ("fee", Decimal(10)),
            ("principal", Decimal(100)),
        ]
