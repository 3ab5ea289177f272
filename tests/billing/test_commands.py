from __future__ import annotations

import json
from decimal import Decimal

import pytest
from sqlalchemy import update

from server.billing.cli import tariff_command
from server.billing.models import AccountBalance
from server.billing.queries import bills_by_status, ledger_totals
from server.billing.service import bill_judged
from server.billing.service.tariffs import SHIPPED, read_tariff_file
from server.books.cli import reconcile_command
from server.db import transaction
from server.metering.cli import exchange_meter_command, open_orders_command
from server.metering.models import ReadOrder
from server.metering.service import record
from tests.metering.world import build, rows


@pytest.fixture
def run(app):
    runner = app.test_cli_runner()
    return lambda command, *args: runner.invoke(command, list(args))


@pytest.fixture
def billed(app):
    with app.app_context(), transaction() as session:
        world = build(session, points=2)
        bill_judged(session, record(session, [world.capture(0, 1230), world.capture(1, 1300)]))
    return world


def test_reconcile_says_that_the_books_agree(run, billed):
    result = run(reconcile_command)
    assert result.exit_code == 0, result.output
    assert result.output == "2 bills, 4 ledger lines: the books agree.\n"


def test_reconcile_fails_and_names_the_difference(app, run, billed):
    with app.app_context(), transaction() as session:
        session.execute(
            update(AccountBalance)
            .where(AccountBalance.account_id == billed.accounts[0])
            .values(balance=Decimal(-100))
        )
    result = run(reconcile_command)
    assert result.exit_code == 1
    assert f"balance: account {billed.accounts[0]} CNY says -100" in result.output
    found = json.loads(run(reconcile_command, "--json").output)
    assert [d["what"] for d in found["differences"]] == ["balance"]
    assert Decimal(found["differences"][0]["computed"]) == Decimal("-123.74")


def test_the_operators_view_counts_bills_and_ledger(app, billed):
    with app.app_context(), transaction() as session:
        assert bills_by_status(session) == {"issued": 2}
        totals = ledger_totals(session, "CNY")
        assert totals.balanced
        assert totals.agrees
        assert totals.receivable == Decimal("-285.14")


def test_a_tariff_file_is_put_in_once_and_a_bad_one_is_explained(run, billed, tmp_path):
    shipped = SHIPPED / "zhejiang-residential.yaml"
    assert run(tariff_command, str(shipped)).exit_code == 0
    content = read_tariff_file(shipped)
    content["definition"]["components"][0]["tiers"][0]["price"] = "-1"
    del content["name"]
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(content), "utf-8")
    result = run(tariff_command, str(bad))
    assert result.exit_code == 1
    assert "components[0].tiers[0].price: must not be negative" in result.output
    assert "name: is missing" in result.output


def test_orders_are_opened_and_meters_exchanged_from_the_command_line(app, run, billed):
    given = ("--period", "2026-10", "--due", "2026-10-31")
    assert "2 read orders opened" in run(open_orders_command, *given, "--route", "1").output
    assert "route.unknown" in run(open_orders_command, *given, "--route", "9").output
    exchange = ("--point", "M0", "--final", "total=1230", "--serial", "N1", "--initial")
    result = run(exchange_meter_command, *exchange, "total=12:6", "--at", "2026-10-31T11:00")
    assert result.exit_code == 1
    assert "exchange.read_after" in result.output
    with app.app_context(), transaction() as session:
        assert len(rows(session, ReadOrder)) == 2


def test_an_exchange_after_the_last_reading_goes_through(app, run):
    with app.app_context(), transaction() as session:
        build(session)
    exchange = ("--point", "M0", "--final", "total=1230", "--serial", "N1", "--initial")
    result = run(exchange_meter_command, *exchange, "total=12:6", "--at", "2026-10-20T10:00")
    assert result.exit_code == 0, result.output
