"""Loading the demo on both databases, and what it is made of."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from flask import Flask
from flask_security import verify_password
from sqlalchemy import func, select, update

from config.settings import Settings
from server import clock
from server.accounts.models import Account, Contact, Installation, Meter, Register, ServicePoint
from server.billing.models import AccountBalance, Bill
from server.billing.service import bill_judged, reconcile
from server.db import snapshot, transaction
from server.demo import people, plan
from server.feed import FeedEntry
from server.identity.models import Device, Staff
from server.identity.service import enrol
from server.metering.models import Consumption, Reading, ReadOrder
from server.metering.service import DialEntry, NewReading, record
from server.notify.models import Gateway, OutboxMessage
from server.operator import Operator
from server.review import ReviewItem
from server.rounds.models import Route

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@pytest.fixture
def demo(app: Flask) -> Flask:
    clock.set(NOW)
    ran = app.test_cli_runner().invoke(args=["demo", "load"])
    assert ran.exit_code == 0, ran.output
    return app


def test_the_company_is_whole(demo: Flask, settings: Settings) -> None:
    with demo.app_context(), snapshot() as session:
        assert session.scalars(select(Operator)).one().is_demo
        for model in (Account, ServicePoint, Contact, ReadOrder):
            assert session.scalar(select(func.count()).select_from(model)) == 107
        assert session.scalar(select(func.count()).select_from(Meter)) == 108
        assert session.scalars(select(Gateway.simulated)).all() == [True]
        phones = session.scalars(select(Contact.phone)).all()
        assert all(p is not None and p.startswith("+861200000") and len(p) == 14 for p in phones)
        assert reconcile(session) == []
        staff = session.scalars(select(Staff).where(Staff.username == "reader3")).one()
        assert verify_password(people.PASSWORD, staff.password or "")


def test_history_was_billed_before_and_only_the_exchange_waits_for_its_bill(demo: Flask) -> None:
    with demo.app_context(), snapshot() as session:
        waiting = session.execute(
            select(Consumption.method, func.count())
            .where(Consumption.status == "active")
            .group_by(Consumption.method)
        ).all()
        assert [tuple(row) for row in waiting] == [("exchange", 1)]
        inactive = session.scalars(
            select(ServicePoint.point_no).where(ServicePoint.status == "inactive")
        ).all()
        assert inactive == [f"M{plan.INACTIVE:05d}"]
        assert session.scalars(select(ReviewItem.reason)).all() == ["reading.below_previous"]


def test_handhelds_find_everything_in_the_feed(demo: Flask) -> None:
    with demo.app_context(), snapshot() as session:
        rows = session.execute(
            select(FeedEntry.collection, func.count()).group_by(FeedEntry.collection)
        )
        found = {collection: count for collection, count in rows}
    assert found["service_point"] == found["read_order"] == 107
    assert found["route"] == found["rep"] == 4
    assert found["operator"] == 1


def test_the_simulator_gets_its_files(demo: Flask, settings: Settings) -> None:
    folder = settings.var_dir / "demo"
    fleet = json.loads((folder / "fleet.json").read_text("utf-8"))
    assert fleet["server"] == settings.base_url
    assert len(fleet["handhelds"]) == 4
    with (folder / fleet["dials"]).open(encoding="utf-8", newline="") as file:
        dials = list(csv.DictReader(file))
    assert len(dials) == 107
    assert all(Decimal(row["per_day"]) > 0 for row in dials)
    sign_ins = json.loads((folder / "sign-ins.json").read_text("utf-8"))
    assert {person["username"] for person in sign_ins} >= {"admin", "manager", "reader1"}
    with demo.app_context(), transaction() as session:
        joined = enrol(session, fleet["handhelds"][2]["code"], {"install_id": "x"})
        assert session.get_one(Staff, joined.device.staff_id).username == "reader3"


def test_loading_again_changes_nothing(demo: Flask, settings: Settings) -> None:
    plan_file = settings.var_dir / "demo" / "fleet.json"
    before = plan_file.read_text("utf-8")
    ran = demo.test_cli_runner().invoke(args=["demo", "load"])
    assert (ran.exit_code, ran.output.strip()) == (
        0,
        "The demo is loaded. Read orders are still open.",
    )
    assert plan_file.read_text("utf-8") == before
    with demo.app_context(), snapshot() as session:
        assert session.scalar(select(func.count()).select_from(Account)) == 107


def test_the_plan_follows_the_server_to_another_address(demo: Flask, settings: Settings) -> None:
    plan_file = settings.var_dir / "demo" / "fleet.json"
    before = json.loads(plan_file.read_text("utf-8"))
    demo.extensions["fieldbell"] = replace(settings, base_url="http://127.0.0.1:9000")
    demo.test_cli_runner().invoke(args=["demo", "load"])
    after = json.loads(plan_file.read_text("utf-8"))
    assert after == {**before, "server": "http://127.0.0.1:9000"}


def test_a_lost_plan_is_written_again_with_codes_that_replace_the_handhelds(
    demo: Flask, settings: Settings
) -> None:
    plan_file = settings.var_dir / "demo" / "fleet.json"
    first = json.loads(plan_file.read_text("utf-8"))["handhelds"][0]["code"]
    with demo.app_context(), transaction() as session:
        old = enrol(session, first, {"install_id": "old"}).device.id
    plan_file.unlink()
    demo.test_cli_runner().invoke(args=["demo", "load"])
    second = json.loads(plan_file.read_text("utf-8"))["handhelds"][0]["code"]
    with demo.app_context(), transaction() as session:
        enrol(session, second, {"install_id": "new"})
        session.flush()
        assert session.get_one(Device, old, populate_existing=True).status == "replaced"


def test_a_real_system_is_left_alone(app: Flask) -> None:
    runner = app.test_cli_runner()
    options = [
        "--operator",
        "Acme",
        "--currency",
        "CNY",
        "--time-zone",
        "Asia/Shanghai",
        "--language",
        "en",
    ]
    options += [
        "--username",
        "a",
        "--name",
        "A",
        "--email",
        "a@example.com",
        "--password",
        "long-enough",
    ]
    assert runner.invoke(args=["init", *options]).exit_code == 0
    for name in ("load", "refresh", "sign-ins"):
        ran = runner.invoke(args=["demo", name])
        assert ran.exit_code == 1, name
        assert "demo.real_system" in ran.output


def read_everything(app: Flask) -> list[str]:
    """Read every dial as it really is and bill; the verdicts."""
    folder = app.extensions["fieldbell"].var_dir / "demo"
    with (folder / "dials.csv").open(encoding="utf-8", newline="") as file:
        dials = {row["meter_serial"]: row for row in csv.DictReader(file)}
    with app.app_context(), transaction() as session:
        orders = session.execute(
            select(ReadOrder.id, ReadOrder.service_point_id, Meter.serial, Route.reader_id)
            .join(Route, Route.id == ReadOrder.route_id)
            .join(Installation, Installation.service_point_id == ReadOrder.service_point_id)
            .join(Meter, Meter.id == Installation.meter_id)
            .where(Installation.removed_at.is_(None), ReadOrder.status == "open")
            .order_by(ReadOrder.id)
        ).all()
        captures = []
        for order, point, serial, reader_id in orders:
            dial = dials[serial]
            passed = (clock.now() - datetime.fromisoformat(dial["as_of"])) / timedelta(days=1)
            value = Decimal(dial["value"]) + Decimal(dial["per_day"]) * Decimal(passed)
            entry = Decimal(int(value) % plan.MODULUS)
            captures.append(
                NewReading(
                    service_point_id=point,
                    meter_serial=serial,
                    # Keyed twice, as a rep does when the device warns.
                    registers=(DialEntry("total", entry, entry),),
                    read_at=clock.now(),
                    order_id=order,
                    staff_id=reader_id,
                )
            )
        judged = record(session, captures)
        bill_judged(session, judged)
        return [each.verdict for each in judged]


def test_a_round_bills_most_homes_and_texts_those_who_owe(demo: Flask) -> None:
    verdicts = read_everything(demo)
    assert verdicts.count("applied") >= 104
    with demo.app_context(), snapshot() as session:
        bills = session.scalar(select(func.count()).select_from(Bill)) or 0
        texts = session.scalar(select(func.count()).where(OutboxMessage.event == "bill.issued"))
        owing = session.scalar(
            select(func.count()).where(Bill.balance_after < 0, Bill.quantity > 0)
        )
        assert bills >= 104
        assert texts is not None
        assert texts == owing
        assert bills // 2 < texts < bills - 10
        exchanged = session.scalars(
            select(func.count())
            .select_from(Consumption)
            .join(ServicePoint, ServicePoint.id == Consumption.service_point_id)
            .where(
                ServicePoint.point_no == f"M{plan.EXCHANGED:05d}", Consumption.bill_id.is_not(None)
            )
        ).one()
        assert exchanged == 2
        rolled = session.scalars(
            select(ServicePoint.point_no)
            .join(Consumption, Consumption.service_point_id == ServicePoint.id)
            .where(Consumption.method == "rollover")
        ).all()
        assert rolled == [f"M{plan.ROLLING_OVER:05d}"]
        assert reconcile(session) == []


def test_when_all_is_read_control_rounds_open_and_next_month_a_new_one(demo: Flask) -> None:
    runner = demo.test_cli_runner()
    assert runner.invoke(args=["demo", "refresh"]).output == "Read orders are still open.\n"
    for now, reason, period in (
        (NOW + timedelta(hours=2), "10", "2026-11"),
        (NOW + timedelta(hours=4), "10", "2026-11"),
        (NOW + timedelta(days=12), "01", "2026-12"),
    ):
        with demo.app_context(), transaction() as session:
            session.execute(update(ReadOrder).values(status="done"))
        clock.set(now)
        ran = runner.invoke(args=["demo", "refresh"])
        assert ran.output == "107 read orders opened.\n"
        with demo.app_context(), snapshot() as session:
            opened = session.execute(
                select(ReadOrder.reason, ReadOrder.period)
                .where(ReadOrder.status == "open")
                .distinct()
            ).all()
        assert [tuple(row) for row in opened] == [(reason, period)]


def test_balances_and_dials_are_as_planned(demo: Flask) -> None:
    with demo.app_context(), snapshot() as session:
        in_credit = session.scalar(
            select(func.count()).select_from(AccountBalance).where(AccountBalance.balance > 1000)
        )
        assert in_credit is not None
        assert 20 <= in_credit <= 35
        digits = session.scalars(select(Register.integer_digits).distinct()).all()
        assert digits == [5]
        held = session.scalars(select(Reading.status).where(Reading.source == "customer")).all()
        assert held == ["held"]
