"""The commands about notices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask

from server.db import transaction
from server.notify import service
from server.notify.cli import notify_cli
from server.notify.dispatch.results import Batch, record
from server.notify.rules.receipts import Receipt
from tests.notify.conftest import put_gateway, states
from tests.notify.test_dispatch import NOW, claim, submit

PUT = {"host": "127.0.0.1", "system_id": "a", "password": "b"}


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
    assert said.splitlines() == [
        "NAME     KIND  STATE              QUEUE",
        "carrier  smpp  stopped simulated  0",
        "log      log   stopped disabled   0",
    ]
    status, said = run(outbox, "gateways", "--json")
    assert [row["name"] for row in json.loads(said)] == ["carrier", "log"]
    assert "fieldbell" not in said


def test_a_trace_shows_every_submission_and_report(outbox: Flask, gateway: int) -> None:
    run(outbox, "send", "--to", "+8612000000001", "--text", "明日停电")
    ((message, _), token), *_ = submit(gateway, claim(gateway)).items()
    with transaction() as session:
        news = Batch([(token, 0, "A77")], receipts=[Receipt("A77", "delivered", "000", "1")])
        record(session, gateway, news, NOW)
    status, said = run(outbox, "trace", str(message))
    assert status == 0
    assert "明日停电" in said
    steps = [line.split("  ", 1)[1] for line in said.splitlines() if line[:2] == "20"]
    named = {step.split()[0]: step for step in steps}
    assert set(named) == {"written", "submitted", "answered", "reported", "stands"}
    assert "part 1 accepted carrier id A77" in named["answered"]
    told = json.loads(run(outbox, "trace", str(message), "--json")[1])
    assert told["steps"][-1]["state"] == "delivered"
    assert told["message"]["text"] == "明日停电"
    status, said = run(outbox, "trace", "999")
    assert status == 1
    assert "There is no message 999." in said


@pytest.mark.sockets
def test_a_bind_is_tested_without_sending_and_says_step_by_step(outbox: Flask) -> None:
    with transaction() as session:
        service.put_gateway(session, "log", "log", {})
        service.put_gateway(session, "nobody", "smpp", {**PUT, "port": 1})
    status, said = run(outbox, "test-bind", "log")
    assert status == 0
    assert "Gateway log works." in said
    status, said = run(outbox, "test-bind", "nobody", "--json")
    told = json.loads(said)
    assert (status, told["bound"], told["steps"][0]["state"]) == (1, False, "connecting")
    assert "cannot connect" in told["steps"][1]["detail"]
    assert run(outbox, "test-bind", "none")[0] == 1
    assert states() == {}


def test_wordings_are_listed_and_changed(outbox: Flask) -> None:
    status, said = run(outbox, "templates", "--event", "bill.issued")
    assert status == 0
    assert "bill.issued (bill): co, no, m, kwh, amt, bal, due" in said
    assert (
        run(outbox, "template", "bill.issued", "en", "{co} {no} {m} {kwh} {amt} {bal} {due}")[0]
        == 0
    )
    assert "{co} {no} {m} {kwh} {amt} {bal} {due}" in run(outbox, "templates")[1]
    status, said = run(outbox, "template", "bill.issued", "en", "Pay {nothing}.")
    assert status == 1
    assert "{nothing}" in said


def test_an_operator_rules_categories_holidays_terms_and_prices(outbox: Flask) -> None:
    put_gateway("carrier", 1)
    for line in (
        "policy promotion --quiet 20:30-09:00 --quiet-holidays --cap 1/168 --budget-month 2000",
        "holidays --add 2099-02-17=春节 --add 2099-02-18=春节 --drop 2099-02-18",
        "terms carrier --category bill --prefix +86 --budget-day 50.5",
        "price carrier 0.045 --prefix +8613 --from 2026-01-01",
        "price carrier 0.05 --prefix +8613 --from 2099-02-01",
    ):
        status, said = run(outbox, *line.split())
        assert status == 0, said
    _, ruled = run(outbox, "policies")
    assert "quiet 20:30-09:00, quiet on holidays, at most 1 in 168 h, 2000.0000 a month" in ruled
    assert "holidays   2099-02-17\n" in ruled
    _, priced = run(outbox, "prices", "carrier")
    assert priced.splitlines() == [
        "+8613        0.0500 from 2099-02-01 00:00",
        "+8613        0.0450 from 2026-01-01 00:00 until 2099-02-01 00:00",
    ]


def test_a_rule_that_cannot_be_is_refused_with_its_reason(outbox: Flask) -> None:
    for line, reason in (
        ("policy reply --quiet 20:00-08:00", "reply must pass at any hour"),
        ("policy promotion --quiet 20", "is not like 22:00-07:30"),
        ("policy promotion --cap 2", "is not like 2/24"),
        ("price nobody 0.05", "There is no gateway nobody"),
        ("price nobody much", "is not an amount"),
        ("holidays --add soon=x", "soon is not a day"),
    ):
        status, said = run(outbox, *line.split())
        assert status != 0
        assert reason in said


def test_a_file_of_phones_is_told_once_and_what_waits_can_be_withdrawn(
    outbox: Flask, tmp_path: Path
) -> None:
    phones = tmp_path / "phones.csv"
    phones.write_text("+8612000000001,en\n\n+8612000000002\n+8612000000001\n", encoding="utf-8")
    command = ("announce", "outage:1", "outage.fault", "--to", str(phones))
    data = ("--data", json.dumps({"area": "东岭", "etr": "21:30"}))
    status, said = run(outbox, *command, *data)
    assert (status, said.endswith(" to 2 phones; a worker sends it.\n")) == (0, True)
    assert run(outbox, *command, *data) == (0, said), "it is the same one"
    number = said.split()[1]
    with transaction() as session:
        assert service.next_slice(session) == 2
    assert set(states().values()) == {"queued"}
    assert run(outbox, "withdraw", number)[1].endswith("2 messages are withdrawn.\n")
    assert set(states().values()) == {"cancelled"}
    assert "done            2  outage.fault outage:1" in run(outbox, "fan-outs")[1]
    phones.write_text("nobody\n", encoding="utf-8")
    refused = run(outbox, "announce", "outage:2", *command[2:], *data)
    assert "Line 1: nobody is not a phone" in refused[1]
    assert run(outbox, "resume", number)[0] == run(outbox, "withdraw", "999999")[0] == 1
