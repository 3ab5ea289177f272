"""Texts carried out on both databases: the right answer to the right phone, each text once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.exc import IntegrityError, OperationalError

from server import clock
from server.accounts.models import Contact
from server.commands import service
from server.commands.calls import Outcome
from server.commands.models import CommandRun
from server.commands.rules.replies import Limits
from server.commands.service.batch import MOST
from server.commands.table import HANDLERS, KEYWORDS
from server.db import Base, Session, db, insert_rows, snapshot, transaction
from server.errors import Conflict
from server.identity.actor import SYSTEM
from server.notify import consent, inbound
from server.notify.models import Gateway, InboundMessage, NoticeTemplate, OutboxMessage
from tests.commands.conftest import LI, MANY, OWN_NUMBER, STRANGER, ZHANG, Office, customer


def runs() -> list[tuple[str, Any]]:
    """(command, arguments) of every row, in order."""
    with snapshot() as session:
        rows = session.execute(
            select(CommandRun.command, CommandRun.arguments).order_by(CommandRun.inbound_id)
        )
        return [(row.command, row.arguments) for row in rows]


def refused(phone: str) -> list[str]:
    """What a phone refuses."""
    with snapshot() as session:
        return [row.category for row in consent.refusals(session, f"+{phone}")]


def test_a_customer_hears_the_balances_of_his_own_accounts(office: Office) -> None:
    assert office.ask(ZHANG, "余额") == ["【东岭电力】户号10000001余额-137.73元。"]
    assert office.last() == ("handled", None)
    assert office.ask(LI, "bal") == ["[东岭电力] Balances: 20000001 12.50; 20000002 0.00."]
    assert office.ask(LI, "BAL 20000001") == ["[东岭电力] Account 20000001: balance 12.50."]
    assert office.ask(MANY, "余额") == [
        "【东岭电力】您有8个户号:30000000, 30000001, 30000002, …。请回复:余额 户号"
    ]
    assert office.ask(MANY, "余额30000007") == ["【东岭电力】户号30000007余额0.00元。"]
    with snapshot() as session:
        texts = session.scalars(select(OutboxMessage)).all()
        assert {text.category for text in texts} == {"reply"}
        assert {text.segments for text in texts} == {1}
        assert all(text.contact_id and text.expires_at for text in texts)


def test_nobody_hears_of_anothers_account(office: Office) -> None:
    assert office.ask(ZHANG, "余额 20000001") == [
        "【东岭电力】未执行:“20000001”有误。格式:余额 户号"
    ]
    assert office.last() == ("refused", "commands.not_your_account")
    assert office.ask(LI, "BAL 2CLOSED") == [
        '[东岭电力] Not done: "2CLOSED" is wrong. Write: BAL account'
    ]
    assert office.ask(ZHANG, "余额 多少") == ["【东岭电力】未执行:“多少”有误。格式:余额 户号"]
    assert office.last() == ("refused", "commands.malformed")


def test_a_phone_that_nobody_gave_hears_nothing(office: Office) -> None:
    for body in ("余额", "余额 10000001", "帮助", "你好"):
        assert office.ask(STRANGER, body) == []
    assert [one.state for one in office.heard()] == ["refused"] * 3 + ["unmatched"]
    office.limits = Limits(answer_strangers=True)
    clock.set(clock.now() + timedelta(hours=1))
    (answer,) = office.ask(STRANGER, "余额 10000001")
    assert "10000001" not in answer
    assert "未登记" in answer


def test_a_phone_of_two_customers_hears_of_both(office: Office) -> None:
    customer("王五", "8612000000050", "en", [("50", "1")])
    with transaction() as session:
        first = session.scalars(select(Contact).where(Contact.phone == f"+{ZHANG}")).one()
        other = session.scalars(select(Contact).where(Contact.phone == "+8612000000050")).one()
        other.phone = first.phone
    assert office.ask(ZHANG, "余额") == ["【东岭电力】各户号余额(元):10000001 -137.73; 50 1.00。"]


def test_a_text_that_is_no_command_is_left_for_people(office: Office) -> None:
    assert office.ask(ZHANG, "我家停电了") == []
    (one,) = office.heard()
    assert (one.state, one.code, one.handled_at, one.reply_id) == ("unmatched", None, None, None)
    assert runs() == []


def test_a_text_with_a_gap_is_never_a_command(office: Office) -> None:
    whole = office.said(ZHANG, "退订")
    with transaction() as session:
        inbound.store(session, [replace(whole, body=whole.body + b"\x00")])
    office.work()
    assert office.last() == ("unmatched", "commands.unreadable")
    assert refused(ZHANG) == []


def test_stop_holds_at_once_and_start_takes_it_back(office: Office) -> None:
    assert office.ask(ZHANG, "TD") == ["【东岭电力】已退订:推广。恢复请回复“开通”。"]
    assert refused(ZHANG) == ["promotion"]
    assert office.ask(LI, "stop all") == [
        "[东岭电力] You will get no more: outages, jobs, bills, promotions. Reply START to get them again."
    ]
    assert refused(LI) == ["bill", "job", "outage", "promotion"]
    assert office.ask(ZHANG, "开通")
    assert refused(ZHANG) == []
    assert office.ask(STRANGER, "T") == [], "it holds, and a stranger is not answered"
    assert refused(STRANGER) == ["promotion"]
    assert runs()[0] == ("stop", {"categories": ["promotion"]})


def test_no_command_changes_what_a_customer_has_or_owes(office: Office) -> None:
    """The sender's number proves nothing, so texts change what is sent to it and nothing else."""
    before = _belongings()
    for phone in (ZHANG, LI, MANY, STRANGER):
        for word in KEYWORDS:
            office.text(phone, word)
    office.work()
    assert {run[0] for run in runs()} == set(HANDLERS)
    assert _belongings() == before


def _belongings() -> dict[str, list[Any]]:
    """Every row of the tables of customers and of money."""
    kept = ("customer", "contact", "account", "account_balance", "bill", "journal", "ledger_line")
    with snapshot() as session:
        return {
            name: [tuple(row) for row in session.execute(select(Base.metadata.tables[name]))]
            for name in kept
        }


def test_the_help_word_lists_what_this_phone_may_do(office: Office) -> None:
    (zh,), (en,) = office.ask(ZHANG, "帮助"), office.ask(LI, "?")
    assert zh == "【东岭电力】可回复:余额 户号 查余额; TD 退订推广; 开通 恢复; 帮助 本说明"
    assert "BAL account" in en
    assert len(zh) <= 70


def test_texts_of_one_phone_are_carried_out_in_their_order(office: Office) -> None:
    office.text(ZHANG, "TD", "开通", "TD 停电", "余额")
    assert office.work() == 4
    assert refused(ZHANG) == ["outage"]
    assert [text[6:9] for text in office.answers(ZHANG)] == ["已退订", "已开通", "已退订", "户号1"]


def test_answers_to_one_phone_are_bounded_by_the_hour(office: Office) -> None:
    office.limits = Limits(replies_per_hour=3)
    office.text(ZHANG, "余额", "帮助")
    office.work()
    office.text(ZHANG, "ye", "bal")
    office.work()
    assert len(office.answers(ZHANG)) == 3
    assert office.last() == ("handled", "commands.reply_limit")
    assert len(office.ask(LI, "bal")) == 1
    clock.set(clock.now() + timedelta(minutes=61))
    assert len(office.ask(ZHANG, "余额")) == 1


def test_machines_are_not_obeyed_and_not_answered(office: Office) -> None:
    for sender in (OWN_NUMBER, "FIELDBELL", "10086", ""):
        office.text(sender, "TD")
    assert office.work() == 4
    assert {one.state for one in office.heard()} == {"refused"}
    with snapshot() as session:
        assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 0


def test_one_text_has_one_command_whatever_is_delivered_again(office: Office) -> None:
    text = office.said(ZHANG, "余额", "sim-7")
    for _ in range(3):
        with transaction() as session:
            inbound.store(session, [text, text])
        office.work()
    assert runs() == [("balance", {})]
    assert len(office.answers(ZHANG)) == 1
    one = office.heard()[0]
    row = {"created_at": clock.now(), "inbound_id": one.id, "command": "x", "arguments": {}}
    with pytest.raises(IntegrityError), transaction() as session:
        insert_rows(session, CommandRun, [row])


def test_a_turn_that_dies_leaves_everything_for_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.text(ZHANG, "TD", "余额")

    class Killed(BaseException):
        """The process ends here."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("server.commands.service.batch._keep", die)
        with pytest.raises(Killed):
            office.work()
    assert [one.state for one in office.heard()] == ["received", "received"]
    assert (office.answers(ZHANG), refused(ZHANG), runs()) == ([], [], [])
    assert office.work() == 2
    assert office.work() == 0
    assert len(office.answers(ZHANG)) == 2


def test_a_command_that_fails_fails_alone(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(session: Session, calls: Any) -> list[Outcome]:
        for call in calls:
            consent.refuse(session, SYSTEM, call.sender.phone, ["bill"], "text")
            if call.sender.phone == f"+{LI}":
                raise Conflict("order.locked", "It is locked.")
        return [Outcome() for _ in calls]

    monkeypatch.setitem(HANDLERS, "balance", broken)
    for phone in (ZHANG, LI, MANY):
        office.text(phone, "余额")
    assert office.work() == 3
    assert [(one.state, one.code) for one in office.heard()] == [
        ("handled", None),
        ("failed", "order.locked"),
        ("handled", None),
    ]
    assert (refused(ZHANG), refused(LI)) == (["bill"], [])
    assert office.answers(LI) == [
        "[东岭电力] This failed and nothing was done. Try later or call us."
    ]


def test_when_the_database_fails_the_text_waits(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> list[Outcome]:
        raise OperationalError("SELECT", {}, Exception("the disk is full"))

    office.text(ZHANG, "余额")
    with monkeypatch.context() as patch:
        patch.setitem(HANDLERS, "balance", away)
        with pytest.raises(OperationalError):
            office.work()
    assert office.ask(ZHANG, "帮助")[0].startswith("【东岭电力】户号10000001余额")


def test_a_template_that_became_too_long_loses_its_answer_and_no_other(office: Office) -> None:
    with transaction() as session:
        long = "余" * 700 + "{no}{bal}"
        session.add(NoticeTemplate(event="reply.balance", language="zh_Hans", version=1, body=long))
    office.text(ZHANG, "余额", "帮助")
    assert office.work() == 2
    assert [(one.state, one.code) for one in office.heard()] == [
        ("handled", "notify.text_too_long"),
        ("handled", None),
    ]


def test_it_asks_the_database_as_often_for_many_texts_as_for_few(office: Office) -> None:
    counted: list[int] = []
    statements: list[str] = []

    def count(_c: object, _k: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", count)
    for size in (1, 2, 40):  # the first fills what is kept between turns
        for n in range(size):
            phone = f"86130{size:03d}{n:05d}"
            customer("x", phone, "en", [(phone, "1")])
            office.text(phone, "BAL")
        statements.clear()
        assert office.work() == size
        counted.append(len(statements))
    assert counted[1] == counted[2]


@pytest.mark.parametrize("engine_url", ["postgresql"], indirect=True)
def test_two_workers_never_share_a_text_nor_turn_the_order_of_a_phone(office: Office) -> None:
    office.text(ZHANG, "TD", "开通")
    office.text(LI, "bal")
    with transaction() as first:
        assert service.handle(first, office.limits, 1) == 1
        with transaction() as second:
            assert service.handle(second, office.limits, MOST) == 1, "Li's, not Zhang's second"
    assert refused(ZHANG) == ["promotion"]
    assert office.work() == 1
    assert refused(ZHANG) == []


@pytest.mark.parametrize("engine_url", ["sqlite"], indirect=True)
def test_a_long_history_does_not_slow_the_claim(office: Office) -> None:
    plans: list[str] = []

    def explain(connection: Any, _k: object, statement: str, values: Any, *_: object) -> None:
        if "state = 'received'" in statement and not statement.startswith("EXPLAIN"):
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.append(" ".join(str(row[-1]) for row in rows))

    office.text(ZHANG, "余额")
    event.listen(db.engine, "before_cursor_execute", explain)
    with snapshot() as session:
        assert service.waiting(session)
    office.work()
    assert len(plans) == 3
    assert all("INDEX ix_inbound_message_received" in plan for plan in plans), plans


def test_a_trial_shows_everything_and_leaves_nothing(office: Office, app: Flask) -> None:
    office.ask(ZHANG, "余额")
    run = app.test_cli_runner().invoke
    shown = run(args=["commands", "try", "--from", ZHANG, "TD"]).output
    assert "command: stop categories=['promotion']" in shown
    assert "verdict: handled" in shown
    assert "reply:   【东岭电力】已退订:推广。" in shown
    assert (
        "[commands.not_registered]"
        in run(args=["commands", "try", "--from", STRANGER, "余额"]).output
    )
    assert "verdict: unmatched" in run(args=["commands", "try", "--from", ZHANG, "你好"]).output
    assert refused(ZHANG) == []
    assert len(office.answers(ZHANG)) == 1
    with snapshot() as session:
        assert session.scalar(select(func.count()).select_from(InboundMessage)) == 1
        assert session.scalar(select(func.count()).select_from(Gateway)) == 1
