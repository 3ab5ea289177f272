"""Texts from phones: stored before they are acknowledged, carried out, answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from benchmarks.databases import Databases, application, migrate
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from server import clock, operator
from server.accounts.models import Account, Contact, Customer
from server.billing.models import AccountBalance
from server.commands import service as commands
from server.commands.rules.replies import Limits
from server.db import insert_rows, snapshot, transaction
from server.notify import inbound, service
from server.notify.inbound import InboundText
from server.notify.models import Gateway, InboundMessage, OutboxMessage

ORIGINAL = "customers"
CHUNK = 10_000
WINDOW = 100  # what a carrier leaves unacknowledged


@dataclass(frozen=True)
class Round:
    """Seconds of storing and of carrying out."""

    stored: float
    handled: float


def sms_commands(options: Options, databases: Databases) -> list[Figure]:
    """Measure how many texts for a balance are stored, and answered, in a second."""
    state = machine()
    gateway_id = _fill(options, databases)
    rounds = []
    for number in range(1, options.rounds + 1):
        with application(databases.copy(ORIGINAL, "round"), options.folder):
            rounds.append(_round(options.texts, gateway_id))
        databases.drop("round")
        options.say(f"{databases.kind} round {number}: {rounds[-1]}")
    databases.drop(ORIGINAL)
    parameters = {"texts": options.texts, "window": WINDOW, "database": databases.describe()}

    def figure(name: str, seconds: list[float]) -> Figure:
        rates = [round(options.texts / one) for one in seconds]
        return Figure(
            name,
            databases.kind,
            median(rates),
            "1/s",
            "more",
            rounds=rates,
            parameters=parameters,
            machine=state,
        )

    return [
        figure("sms_commands", [one.stored + one.handled for one in rounds]),
        figure("sms_commands.stored", [one.stored for one in rounds]),
        figure("sms_commands.answered", [one.handled for one in rounds]),
    ]


def _fill(options: Options, databases: Databases) -> int:
    """Customers with a phone, an account and a balance, a third as many as texts; the gateway's id."""
    options.say(f"{databases.kind}: filling a database with {_phones(options.texts)} customers")
    url = databases.create(ORIGINAL)
    migrate(url, options.folder)
    with application(url, options.folder):
        with transaction() as session:
            operator.found(session, "东岭电力", "CNY", "Asia/Shanghai", "zh_Hans", is_demo=True)
            service.put_gateway(session, "log", "log", {}, simulated=True)
        for numbers in _chunks(range(1, _phones(options.texts) + 1)):
            with transaction() as session:
                insert_rows(session, Customer, [_customer(n) for n in numbers])
                insert_rows(session, Contact, [_contact(n) for n in numbers])
                insert_rows(session, Account, [_account(n) for n in numbers])
                insert_rows(session, AccountBalance, [_balance(n) for n in numbers])
        with snapshot() as session:
            gateway_id = session.scalars(select(Gateway.id)).one()
        # Plans of foreign keys made while a table is empty read it from end to end later.
        _work([_text(n, options.texts, gateway_id, "KT") for n in range(_before(options.texts))])
    databases.settle(ORIGINAL)
    return gateway_id


def _before(texts: int) -> int:
    """How many texts were there before the clock runs: a twentieth, each of another phone."""
    return texts // 20


def _phones(texts: int) -> int:
    return max(texts // 3, 1)


def _chunks(numbers: range) -> Iterator[range]:
    for start in range(0, len(numbers), CHUNK):
        yield numbers[start : start + CHUNK]


def _round(texts: int, gateway_id: int) -> Round:
    """Store all texts a window at a time, then carry all out, as gateway and worker do."""
    words = ("余额", "YE", "查余额。")
    seconds = _work(
        [_text(n, texts, gateway_id, words[n // _phones(texts) % 3]) for n in range(texts)]
    )
    _check(texts)
    return seconds


def _work(heard: list[InboundText]) -> Round:
    began = time.perf_counter()
    for start in range(0, len(heard), WINDOW):
        with transaction() as session:
            inbound.store(session, heard[start : start + WINDOW])
    stored = time.perf_counter() - began
    began = time.perf_counter()
    while True:
        with transaction() as session:
            if not commands.handle(session, Limits()):
                break
    return Round(stored, time.perf_counter() - began)


def _text(n: int, texts: int, gateway_id: int, words: str) -> InboundText:
    """The text number `n` of all; a phone sends every so many of them."""
    octets = words.encode("utf-16-be")
    phone = f"86120{n % _phones(texts) + 1:08d}"
    return InboundText(gateway_id, phone, "95598", octets, clock.now(), data_coding=8)


def _check(texts: int) -> None:
    """Every text was answered once, or there is no figure."""
    m = InboundMessage
    with snapshot() as session:
        answered = session.scalar(
            select(func.count(m.reply_id.distinct())).where(
                m.state == "handled", m.command == "balance"
            )
        )
        queued = session.scalar(select(func.count()).where(OutboxMessage.event == "reply.balance"))
    if (answered, queued) != (texts, texts):
        raise AssertionError(f"{answered} answered and {queued} queued instead of {texts}")


# --- rows ----------------------------------------------------------------------------------


def _customer(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "created_at": clock.now(),
        "customer_no": f"{n}",
        "name": f"客户{n}",
        "customer_class": "residential",
        "attributes": {},
    }


def _contact(n: int) -> dict[str, Any]:
    return {
        "created_at": clock.now(),
        "customer_id": n,
        "name": f"客户{n}",
        "kind": "holder",
        "phone": f"+86120{n:08d}",
        "language": "zh_Hans",
        "consent": {},
        "verified": True,
        "is_default": True,
    }


def _account(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "created_at": clock.now(),
        "account_no": f"{10_000_000 + n}",
        "customer_id": n,
        "account_class": "residential",
        "mode": "postpaid",
        "status": "active",
        "tariff_code": "t",
    }


def _balance(n: int) -> dict[str, Any]:
    return {
        "account_id": n,
        "unit": "CNY",
        "balance": Decimal(n) / 100,
        "last_line_id": n,
    }
