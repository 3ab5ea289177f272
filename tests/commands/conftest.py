"""A utility whose customers text: contacts with phones, accounts with balances, a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select

from server import clock
from server.accounts.models import Account, Contact, Customer
from server.billing.models import AccountBalance
from server.commands import service as commands
from server.commands.rules.replies import Limits
from server.db import snapshot, transaction
from server.notify import inbound, service
from server.notify.inbound import InboundText
from server.notify.models import Gateway, InboundMessage, OutboxMessage
from server.operator import found

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
OWN_NUMBER = "+8695598000"
ZHANG, LI, MANY, STRANGER = (f"861200000000{n}" for n in (1, 2, 3, 9))


@dataclass
class Office:
    """The utility as a phone knows it: texts go in, answers come out."""

    gateway_id: int
    limits: Limits

    def text(self, phone: str, *bodies: str) -> None:
        """Have a phone send texts, an hour apart from any repeat of themselves."""
        with transaction() as session:
            inbound.store(session, [self.said(phone, body) for body in bodies])

    def said(self, phone: str, body: str, carrier_id: str | None = None) -> InboundText:
        """A text as its carrier hands it over."""
        octets = body.encode("utf-16-be")
        return InboundText(
            self.gateway_id, phone, "95598", octets, clock.now(), 8, carrier_id=carrier_id
        )

    def work(self, most: int = 200) -> int:
        """Carry out what has come, as a worker's turn does."""
        with transaction() as session:
            return commands.handle(session, self.limits, most)

    def answers(self, phone: str) -> list[str]:
        """What was queued for a phone, in order."""
        with snapshot() as session:
            rows = session.scalars(
                select(OutboxMessage.text)
                .where(OutboxMessage.phone == f"+{phone}")
                .order_by(OutboxMessage.id)
            )
            return list(rows)

    def ask(self, phone: str, body: str) -> list[str]:
        """Text and be answered: what is new on the phone."""
        before = len(self.answers(phone))
        self.text(phone, body)
        self.work()
        return self.answers(phone)[before:]

    def heard(self) -> list[InboundMessage]:
        """The texts that came, in order."""
        with snapshot() as session:
            return list(session.scalars(select(InboundMessage).order_by(InboundMessage.id)))

    def last(self) -> tuple[str, str | None]:
        """(state, code) of the text that came last."""
        one = self.heard()[-1]
        return one.state, one.code


@pytest.fixture
def office(app: Flask) -> Iterator[Office]:
    """Zhang with one account, Li (English) with two, a customer with eight."""
    clock.set(NOW)
    with app.app_context():
        with transaction() as session:
            found(session, "东岭电力", "CNY", "Asia/Shanghai", "zh_Hans")
            config = {
                "host": "127.0.0.1",
                "port": 1,
                "system_id": "fieldbell",
                "password": "fieldbell",
                "source": OWN_NUMBER,
            }
            service.put_gateway(session, "carrier", "smpp", config, simulated=True)
            gateway_id = session.scalars(select(Gateway.id)).one()
        customer("张三", ZHANG, "zh_Hans", [("10000001", "-137.73")])
        customer("Li", LI, "en", [("20000001", "12.5"), ("20000002", None), ("2closed", "1")])
        customer("连锁店", MANY, "zh_Hans", [(f"3000000{n}", "0") for n in range(8)])
        yield Office(gateway_id, Limits())


def customer(name: str, phone: str, language: str, accounts: list[tuple[str, str | None]]) -> None:
    """A customer with a contact and (account number, balance) pairs; one that ends in `closed` is."""
    with transaction() as session:
        row = Customer(customer_no=f"C{phone}", name=name)
        session.add(row)
        session.flush()
        session.add(Contact(customer_id=row.id, name=name, phone=f"+{phone}", language=language))
        for account_no, balance in accounts:
            status = "closed" if account_no.endswith("closed") else "active"
            account = Account(
                account_no=account_no, customer_id=row.id, tariff_code="t", status=status
            )
            session.add(account)
            session.flush()
            if balance is not None:
                session.add(
                    AccountBalance(
                        account_id=account.id, unit="CNY", balance=Decimal(balance), last_line_id=1
                    )
                )
