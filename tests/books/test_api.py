"""Bills, runs, turns and the ledger over the JSON API and by command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from server import clock
from server.billing.models import Bill
from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.models import Staff
from tests import world as worlds
from tests.console.office import hire, key

LATER = datetime(2026, 12, 2, tzinfo=UTC)


@pytest.fixture
def world(app):
    return worlds.build(app)


class Caller:
    """A system with the personal token of somebody."""

    def __init__(self, app, staff_id):
        with app.app_context(), transaction() as session:
            staff = session.get_one(Staff, staff_id)
            token = identity.create_api_token(session, identity.actor_of(session, staff), "t")[1]
        self.client = app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method, path, expected=200, /, **document):
        answer = self.client.open(
            f"/api/v1{path}",
            method=method,
            json=document or None,
            headers=self.headers,
        )
        assert answer.status_code == expected, (path, answer.status_code, answer.text)
        return answer


def test_another_system_reads_corrects_and_closes(app, world):
    who = hire(app, "boss", "admin", world.root_id)
    key(app, who, world.points[0], 1200)
    caller = Caller(app, who)
    number = world.points[0].account_no
    (head,) = caller.ask("GET", f"/accounts/{number}/bills").json["bills"]
    bill = caller.ask("GET", f"/bills/{head['bill_no']}").json
    assert (bill["total"], bill["account_no"], bill["kind"]) == ("107.6000", number, "bill")
    (line,) = bill["lines"]
    assert (line["quantity"], line["price"], line["amount"]) == (
        "200.000000",
        "0.538000",
        "107.6000",
    )
    caller.ask("GET", "/bills/nothing", 404)
    path = f"/bills/{head['bill_no']}"
    assert caller.ask("POST", f"{path}/credit", amount="7.60", reason="goodwill").json["notes"]
    done = caller.ask("POST", f"{path}/cancel", reason="misread", again=True).json
    assert (done["cancelled"], len(done["issued"])) == ([head["bill_no"]], 1)
    assert len(caller.ask("GET", f"/accounts/{number}/bills?limit=2").json["bills"]) == 2
    run = caller.ask("POST", "/bill-runs", 202, period="2026-11", route="B1").json
    assert caller.ask("GET", f"/bill-runs/{run['run_id']}").json["status"] == "running"
    clock.set(LATER)
    assert caller.ask("PUT", "/ledger/periods/2026-11", status="closed").json["status"] == "closed"
    assert len(caller.ask("GET", "/ledger/periods").json["periods"]) == 1
    sums = caller.ask("GET", "/ledger/export?period=2026-11").text
    assert "2026-11,,total,,CNY" in sums
    caller.ask("PUT", "/ledger/periods/2026-11", status="open", reason="late")


def test_an_account_is_turned_by_whoever_may(app, world):
    who = hire(app, "clerk", "billing_clerk", world.root_id)
    caller, point = Caller(app, who), world.points[0]
    dials = [{"point_no": point.point_no, "value": "1200"}]
    path = f"/accounts/{point.account_no}/turns"
    caller.ask("POST", path, 422, act="hand_over", reason="sold", dials=dials)
    done = caller.ask(
        "POST",
        path,
        act="hand_over",
        reason="sold",
        dials=dials,
        customer_no="C0002",
        account_no="A9001",
    ).json
    assert (done["new_account_no"], len(done["bills"])) == ("A9001", 1)
    caller.ask("POST", path, 409, act="suspend", reason="again", dials=dials)
    reader = Caller(app, hire(app, "other", "meter_reader", world.team_id))
    reader.ask("POST", path, 403, act="close", reason="no right", dials=dials)
    reader.ask("GET", "/ledger/periods", 403)


def test_commands_bill_a_period_correct_turn_export_and_close(app, world):
    run = app.test_cli_runner().invoke
    point = world.points[0]
    clock.set(worlds.NOW + timedelta(days=10))

    def said(*arguments, code=0):
        result = run(args=list(arguments))
        assert result.exit_code == code, result.output
        return result.output

    told = said("billing", "run", "--period", "2026-11", "--route", "B1", "--estimate")
    assert "3 of 3 accounts, 3 bills" in told
    with app.app_context(), snapshot() as session:
        bill_no = session.scalars(select(Bill.bill_no).order_by(Bill.id)).first()
    assert "given back" in said("billing", "credit", bill_no, "1.00", "--reason", "goodwill")
    assert "1 bills cancelled" in said("billing", "cancel", bill_no, "--reason", "x", "--again")
    dial = f"{point.point_no}:total=1400"
    said("account", "close", point.account_no, "--read", dial, "--reason", "moved out")
    said("account", "suspend", point.account_no, "--reason", "again", code=1)
    clock.set(LATER)
    assert "closed" in said("ledger", "close", "2026-11")
    assert "2026-11,1122,receivable" in said("ledger", "export", "--period", "2026-11")
    assert "open" in said("ledger", "reopen", "2026-11", "--reason", "late")
    assert "the books agree" in said("reconcile")
