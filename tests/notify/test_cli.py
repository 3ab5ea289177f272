"""The commands about notices."""

from __future__ import annotations

from flask import Flask

from server.db import transaction
from server.notify import service
from server.notify.cli import notify_cli
from server.notify.dispatch.results import Answer, Batch, record
from server.notify.rules.receipts import Receipt
from tests.notify.conftest import put_gateway, states
from tests.notify.test_dispatch import NOW, claim, submit


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    """Run a command; its exit status and what it printed."""
    result = app.test_cli_runner().invoke(notify_cli, list(arguments))
    return result.exit_code, result.output


def test_sending_by_hand_queues_one_text(outbox: Flask) -> None:
    status, said = run(outbox, "send", "--to", "+8612000000001", "--text", "明日停电")
    ((message, state),) = states().items()
    assert (status, state) == (0, "queued")
    assert said == f"Message {message} is queued (1 segments).\n"


def test_sending_to_what_is_no_number_is_refused(outbox: Flask) -> None:
    status, said = run(outbox, "send", "--to", "me", "--text", "x")
    assert status == 2
    assert "me is not a phone" in said
    assert states() == {}


def test_a_text_too_long_is_refused_with_its_size(outbox: Flask) -> None:
    status, said = run(outbox, "send", "--to", "+8612000000001", "--text", "电" * 700)
    assert status == 1
    assert "11 segments" in said


def test_gateways_are_listed_without_their_passwords(outbox: Flask) -> None:
    assert "No gateway is set up" in run(outbox, "gateways")[1]
    put_gateway("carrier", 2775)
    with transaction() as session:
        service.put_gateway(session, "log", "log", {}, enabled=False, position=200)
    status, said = run(outbox, "gateways")
    assert status == 0
    assert said == ("carrier (smpp, enabled, simulated): stopped\nlog (log, disabled): stopped\n")


def test_a_trace_shows_every_submission_and_report(outbox: Flask, gateway: int) -> None:
    run(outbox, "send", "--to", "+8612000000001", "--text", "明日停电")
    ((message, _), token), *_ = submit(gateway, claim(gateway)).items()
    with transaction() as session:
        news = Batch([Answer(token, 0, "A77")], receipts=[Receipt("A77", "delivered", "000", "1")])
        record(session, gateway, news, NOW)
    status, said = run(outbox, "trace", str(message))
    assert status == 0
    for words in ("明日停电", "delivered", "A77", "segment", "report"):
        assert words in said
    status, said = run(outbox, "trace", "999")
    assert status == 1
    assert "There is no message 999." in said
