"""Modem, HTTP and e-mail behind the queue, on both databases: from a row to the other side and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from device_sim.modem.manners import Faults, Manners
from device_sim.modem.modem import SimModem
from server.db import snapshot, transaction
from server.notify import service
from server.notify.dispatch import Gateways, results
from server.notify.models import Gateway, InboundMessage, OutboxMessage, OutboxSegment
from server.notify.rules.receipts import Receipt
from tests.notify.conftest import bill, queue_bills, states
from tests.notify.mail_server import MailServer
from tests.notify.modem_bench import PHONE, QUICK
from tests.notify.test_hooks import SECRET, post
from tests.notify.test_http_gateway import Carrier
from tests.waiting import wait_until

LONG = "您的电费账单已出,请及时交费。" * 7
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@contextmanager
def working(app: Flask, kind: str, config: dict[str, Any]) -> Iterator[int]:
    """A worker that runs one gateway; the gateway's id."""
    with transaction() as session:
        service.put_gateway(session, "way", kind, config, simulated=True)
        number = session.scalars(select(Gateway.id)).one()
    gateways = Gateways(app)
    gateways.start()
    try:
        yield number
    finally:
        gateways.stop()


def queue(text: str, to: str = PHONE) -> int:
    """Queue a text that a person wrote."""
    with transaction() as session:
        notice = service.Notice("operator.text", f"t:{text}", to, "zh_Hans", {"text": text})
        return service.enqueue(session, [notice])[notice.key]


def reach(message_id: int, status: str) -> None:
    wait_until(lambda: states()[message_id] == status)


def test_a_modem_carries_a_text_its_reports_and_an_answer_through_the_database(
    outbox: Flask, tmp_path: Path
) -> None:
    with SimModem(tmp_path / "tty-modem") as modem:
        config = {**QUICK, "device": modem.port, "source": "+8613800000000"}
        modem.receive(PHONE, LONG)
        with working(outbox, "modem", config):
            reach(queue(LONG), "delivered")
            wait_until(lambda: not modem.sim.places)
        assert "".join(one.unit.text for one in modem.sent) == LONG
        with snapshot() as session:
            said = session.scalars(select(InboundMessage)).one()
        assert (said.text, said.phone, said.total) == (LONG, PHONE, 2)


def test_a_modem_unplugged_in_mid_send_is_asked_again_only_for_what_must_arrive(
    outbox: Flask, tmp_path: Path
) -> None:
    faults = Faults(unplug="sent")
    with SimModem(tmp_path / "tty-modem", Manners(report_s=None), faults) as modem:
        config = {**QUICK, "device": modem.port, "resend_seconds": 0.5}
        with working(outbox, "modem", config):
            once = queue("only once")
            reach(once, "unknown")
            wait_until(lambda: not modem.plugged)
            modem.plug_in()
            faults.unplug = "sent"
            (must,) = queue_bills(1)
            wait_until(lambda: not modem.plugged)
            modem.plug_in()
            reach(must, "accepted")
        texts = [one.unit.text for one in modem.sent]
        assert texts.count("only once") == 1
        with snapshot() as session:
            row = session.get_one(OutboxMessage, must)
            assert (row.possible_duplicate, row.copies) == (True, 1)
            # The part in mid-send went twice, and nothing else did.
            assert len(modem.sent) == 1 + row.segments + 1
        assert states()[once] == "unknown"


def test_a_gateway_whose_secret_was_sealed_under_another_key_is_refused_loudly(
    outbox: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction() as session:
        config = {"url": "http://127.0.0.1:1/", "secret": "s" * 16}
        service.put_gateway(session, "way", "http", config, simulated=True)
    monkeypatch.setitem(outbox.config, "SECRET_KEY", "another" * 8)
    gateways = Gateways(outbox)
    gateways.start()

    def state() -> tuple[str, str]:
        with snapshot() as session:
            row = session.scalars(select(Gateway)).one()
            return row.state, row.detail

    wait_until(lambda: state()[0] == "refused")
    gateways.stop()
    assert "sealed under another key" in state()[1]
    assert "notify.wrong_key" in caplog.text


def test_a_report_belongs_to_the_newest_open_text_of_its_reference(outbox: Flask) -> None:
    with transaction() as session:
        service.put_gateway(session, "way", "modem", {"device": "/dev/null"}, simulated=True)
        number = session.scalars(select(Gateway.id)).one()
    ids = queue_bills(3)
    with transaction() as session:
        for token, (message_id, status) in enumerate(
            zip(ids, ("delivered", "accepted", "accepted"), strict=True), 1
        ):
            session.get_one(OutboxMessage, message_id).status = status
            session.get_one(OutboxMessage, message_id).segments = 1
            session.add(
                OutboxSegment(
                    id=token,
                    message_id=message_id,
                    part=1,
                    gateway_id=number,
                    status=status,
                    carrier_id="17/00000001",
                    submitted_at=NOW + timedelta(hours=token),
                )
            )
    for stamp, expected in (
        ("1", ["delivered", "accepted", "delivered"]),
        ("2", ["delivered", "delivered", "delivered"]),
    ):
        told = results.Batch(receipts=[Receipt("17/00000001", "delivered", "", stamp)])
        with transaction() as session:
            results.record(session, number, told, NOW + timedelta(hours=5))
        assert [states()[one] for one in ids] == expected


@pytest.mark.sockets
def test_an_http_carrier_gets_a_long_text_whole_and_reports_it_by_hook(outbox: Flask) -> None:
    carrier = Carrier()
    config = {"url": carrier.url, "hook_secret": SECRET}
    with working(outbox, "http", config):
        message_id = queue(LONG)
        reach(message_id, "accepted")
    assert carrier.keys == [f"{message_id}-1"]
    told = {"reports": [{"id": f"c-{message_id}-1", "state": "delivered"}]}
    assert post(outbox, "report", told, name="way", at=datetime.now(UTC)).status_code == 200
    assert states()[message_id] == "delivered"
    with snapshot() as session:
        assert session.scalars(select(OutboxSegment.units)).one() == 2
    carrier.server.server_close()


@pytest.mark.sockets
def test_a_bill_reaches_a_mailbox_as_one_mail_with_a_subject(outbox: Flask) -> None:
    server = MailServer()
    config = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sender": "notices@example.com",
    }
    with working(outbox, "email", config):
        with transaction() as session:
            service.enqueue(session, [bill(1, "li@example.com")])
        wait_until(lambda: set(states().values()) == {"accepted"})
    (_, to, read, _), *others = server.mails
    assert others == []
    assert "li@example.com" in to
    assert read["Subject"] == "东岭电力:户号10000001,10月电费账单"
    assert "10000001" in read.get_content()
    server.server_close()
