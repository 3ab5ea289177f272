"""Low balances on the ledger: told once, cut by proposal, given back, terminals called with a signature."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import orjson
import pytest
from sqlalchemy import select, update

from server import clock
from server.accounts.models import Account
from server.billing.rules.chart import CLEARING_API, RECEIVABLE, REVENUE_ENERGY
from server.billing.service.ledger import Entry, Posting, lock_accounts, post
from server.db import snapshot, transaction
from server.dues.models import BalanceAlarm, DisconnectProposal, TerminalCall
from server.dues.rules.prepaid import Rule
from server.dues.service import hooks, prepaid_rules, rounds, terminals
from server.errors import Invalid
from server.identity.actor import SYSTEM
from server.notify.models import OutboxMessage
from server.notify.rules import signing
from server.review import ReviewItem
from tests import world as worlds

SECRET = "a secret of the terminal"


@pytest.fixture
def world(app):
    made = worlds.build(app, points=2)
    with app.app_context(), transaction() as session:
        session.execute(update(Account).values(mode="prepaid"))
    with app.app_context():
        yield made


def move(account_id, key, amount, kind="payment"):
    """Post a movement of a receivable: above zero it is money that came."""
    amount = Decimal(amount)
    mine, other = (RECEIVABLE, CLEARING_API if amount > 0 else REVENUE_ENERGY)
    size = abs(amount)
    lines = (
        Entry(mine, account_id, "CNY", credit=size)
        if amount > 0
        else Entry(mine, account_id, "CNY", debit=size),
        Entry(other, None, "CNY", debit=size)
        if amount > 0
        else Entry(other, None, "CNY", credit=size),
    )
    with transaction() as session:
        lock_accounts(session, [account_id])
        post(session, [Posting(key, kind, lines)])
        if amount > 0:
            hooks.after_receipt(session, [account_id])


def texts(event="balance.low"):
    with snapshot() as session:
        rows = select(OutboxMessage.text).where(OutboxMessage.event == event)
        return list(session.scalars(rows.order_by(OutboxMessage.id)))


def proposal():
    with snapshot() as session:
        return session.scalars(
            select(DisconnectProposal).order_by(DisconnectProposal.id.desc())
        ).first()


def test_a_crossing_is_told_once_and_again_after_a_top_up(world):
    one, two = (point.account_id for point in world.points)
    move(one, "p1", 100)
    move(two, "p2", 100)
    assert rounds.look_at_balances() == 0
    move(one, "b1", -60, "bill")
    assert rounds.look_at_balances() == 1
    assert rounds.look_at_balances() == 0
    assert texts() == ["【测试电力】户号A0001余额40.00元,低于50.00元,请及时购电。"]
    move(one, "f1", -5, "fee")
    assert rounds.look_at_balances() == 0
    move(one, "p3", 30)
    move(one, "f2", -20, "fee")
    assert rounds.look_at_balances() == 1
    assert len(texts()) == 2


def test_who_is_in_arrears_is_proposed_for_a_cut_and_a_payment_takes_it_back(world):
    account_id = world.points[0].account_id
    move(account_id, "p1", 100)
    move(account_id, "b1", -130, "bill")
    assert rounds.look_at_balances() == 0
    assert texts() == []
    found = proposal()
    assert (found.reason, found.state, found.amount) == ("prepaid", "proposed", Decimal(30))
    rounds.look_at_balances()
    move(account_id, "p2", 20)
    assert proposal().state == "proposed"
    move(account_id, "p3", 20)
    again = proposal()
    assert (again.id, again.state, again.why) == (found.id, "withdrawn", "paid")
    rounds.look_at_balances()
    move(account_id, "b2", -40, "bill")
    rounds.look_at_balances()
    assert proposal().id > found.id


def test_a_class_may_cut_at_once_and_paid_supply_is_given_back_by_a_person(world):
    point = world.points[0]
    with transaction() as session:
        prepaid_rules.put(session, SYSTEM, "residential", "prepaid", Rule(Decimal(50), "automatic"))
        terminals.put(session, SYSTEM, point.account_no, "T1", "http://localhost:9/", SECRET)
    move(point.account_id, "p1", 100)
    move(point.account_id, "b1", -130, "bill")
    rounds.look_at_balances()
    assert proposal().state == "ordered"
    move(point.account_id, "p2", 100)
    assert proposal().state == "withdrawn"
    with snapshot() as session:
        (item,) = session.scalars(
            select(ReviewItem).where(ReviewItem.reason == "prepaid.reconnect")
        )
        assert item.subject_id == str(point.account_id)
        calls = session.scalars(select(TerminalCall).order_by(TerminalCall.id)).all()
    assert [call.body["event"] for call in calls] == ["supply.cut", "supply.restore"]


def test_a_large_customer_is_told_by_the_share_of_his_top_up_that_is_left(world):
    point = world.points[0]
    rule = Rule(None, "none", Decimal(0), "share", (Decimal("0.3"), Decimal("0.1")))
    with transaction() as session:
        prepaid_rules.put(session, SYSTEM, "residential", "prepaid", rule)
        terminals.put(session, SYSTEM, point.account_no, "T1", "https://t.example/h", SECRET)
    move(point.account_id, "p1", 1000)
    move(point.account_id, "b1", -750, "bill")
    assert (rounds.look_at_balances(), rounds.look_at_balances()) == (1, 0)
    assert texts("balance.share") == [
        "【测试电力】户号A0001余额约250.00元,为上次购电的25%,请及时购电。"
    ]
    move(point.account_id, "b2", -200, "bill")
    rounds.look_at_balances()
    with snapshot() as session:
        steps = session.scalars(select(BalanceAlarm.threshold).order_by(BalanceAlarm.id)).all()
    assert steps == [Decimal("0.3"), Decimal("0.1")]


def test_a_call_is_signed_repeated_until_it_is_answered_and_then_never_again(world):
    point = world.points[0]
    with transaction() as session:
        terminals.put(session, SYSTEM, point.account_no, "T1", "https://t.example/h", SECRET)
    move(point.account_id, "p1", 100)
    move(point.account_id, "b1", -60, "bill")
    rounds.look_at_balances()
    posted = []

    def post_it(call):
        data, headers = terminals.request_of(call)
        now = clock.now().timestamp()
        signing.check(SECRET, headers[signing.TIMESTAMP], headers[signing.SIGNATURE], data, now, 1)
        posted.append((headers[terminals.KEY], orjson.loads(data)["balance"]))
        return terminals.Answer(503 if len(posted) == 1 else 200)

    assert terminals.waiting()
    assert terminals.deliver(post_it) == 0
    assert not terminals.waiting()
    clock.set(clock.now() + timedelta(minutes=2))
    assert terminals.deliver(post_it) == 1
    clock.set(clock.now() + timedelta(days=1))
    assert terminals.deliver(post_it) == 0
    assert len(set(posted)) == 1
    assert posted[0][1] == "40.0000"
    move(point.account_id, "p2", 100)
    move(point.account_id, "b2", -100, "bill")
    rounds.look_at_balances()
    with transaction() as session:
        terminals.switch_off(session, SYSTEM, point.account_no)
    assert not terminals.waiting()
    assert len(posted) == 2


def test_a_rule_that_cannot_be_used_names_every_mistake(world):
    wrong = Rule(Decimal("NaN"), "perhaps", Decimal(0), "share", ())
    with pytest.raises(Invalid) as caught, transaction() as session:
        prepaid_rules.put(session, SYSTEM, "", "monthly", wrong)
    assert set(caught.value.details) == {"account_class", "mode", "low_balance", "cut", "steps"}
    with pytest.raises(Invalid) as caught, transaction() as session:
        terminals.put(session, SYSTEM, "A0001", "", "http://far.example/", "short")
    assert set(caught.value.details) == {"name", "url", "secret"}
