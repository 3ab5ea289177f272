"""A server restored from a backup, and the handhelds that know more than it does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from device_sim.check import Held, compare
from device_sim.clock import WallClock
from device_sim.faults import FaultProxy
from device_sim.gps import Gps, GpsFaults
from device_sim.handheld import Handheld
from device_sim.protocol import Client
from device_sim.rep import Habits, Rep
from device_sim.round import Round
from device_sim.syncer import Syncer
from device_sim.witness import digest, read_witness
from server import clock, feed
from server.accounts.models import Account
from server.billing.models import AccountBalance, Bill
from server.capture.models import Attachment, CaptureEvent
from server.db import Session, snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.metering.models import Reading, ReadOrder
from server.rounds.models import Route, RouteStop
from tests import world as worlds
from tests.e2e.processes import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

REPS = 3
STOPS_EACH = 5


@dataclass
class Device:
    """A simulated handheld of one rep in this process, at a real server."""

    handheld: Handheld
    syncer: Syncer
    round: Round

    def read(self, stops: int) -> None:
        """Read the next stops without a link."""
        for stop in self.handheld.open_stops()[:stops]:
            assert self.round.visit(stop)

    def sync(self) -> None:
        """Sync, which must succeed and leave nothing behind."""
        outcome = self.syncer.sync()
        assert outcome.error is None, outcome.error
        assert self.handheld.store.unsent()[0] == 0
        assert self.handheld.store.photos_unsent() == 0


@pytest.fixture
def world(app: Flask) -> worlds.World:
    """A town of three routes with a rep each."""
    made = worlds.build(app, points=REPS * STOPS_EACH, now=datetime.now(UTC) - timedelta(minutes=1))
    with app.app_context(), transaction() as session:
        for number in range(1, REPS):
            _split(session, made, number)
    clock.reset()
    return made


def _split(session: Session, world: worlds.World, number: int) -> None:
    """Give a part of the points to a route and a rep of their own."""
    rep = identity.add_staff(
        session,
        SYSTEM,
        username=f"rep{number}",
        name=f"rep {number}",
        password_hash="-",
        roles=["meter_reader"],
        org_unit_id=world.team_id,
    )
    route = Route(
        book_no=f"B{number + 1}",
        name=f"route {number}",
        org_unit_id=world.team_id,
        reader_id=rep.id,
        read_and_bill=True,
    )
    session.add(route)
    session.flush()
    mine = world.points[number * STOPS_EACH : (number + 1) * STOPS_EACH]
    points, orders = [p.service_point_id for p in mine], [p.order_id for p in mine]
    session.execute(
        update(RouteStop).where(RouteStop.subject_id.in_(points)).values(route_id=route.id)
    )
    session.execute(update(ReadOrder).where(ReadOrder.id.in_(orders)).values(route_id=route.id))
    feed.touch(session, f"user:{rep.id}", "rep", rep.id)
    for scope in (f"route:{route.id}", f"route:{world.route_id}"):
        gone = scope == f"route:{world.route_id}"
        feed.touch(session, scope, "route", route.id, deleted=gone)
        for collection, ids in (("service_point", points), ("read_order", orders)):
            for document_id in ids:
                feed.touch(session, scope, collection, document_id, deleted=gone)


@pytest.fixture
def codes(app: Flask, world: worlds.World) -> list[str]:
    """An enrolment code for each rep."""
    with app.app_context(), transaction() as session:
        readers = session.execute(select(Route.reader_id).order_by(Route.id)).scalars().all()
        return [
            identity.offer_enrolment(session, SYSTEM, reader, timedelta(hours=1))[1]
            for reader in readers
            if reader is not None
        ]


@contextmanager
def device(folder: Path, url: str, number: int) -> Iterator[Device]:
    """The handheld whose state lies in a folder, switched on and off again."""
    wall = WallClock()
    gps = Gps(random.Random(f"gps:{number}"), GpsFaults(no_fix=0.0, jump=0.0))
    handheld = Handheld(folder / f"h{number}", wall, gps)
    syncer = Syncer(handheld, Client(url, timeout=20))
    rep = Rep(f"rep:{number}", None, Habits(skip=0.0, fat_finger=0.0, photo=0.7))
    walk = Round(handheld, rep, random.Random(number), wall.sleep, 0.0)
    try:
        yield Device(handheld, syncer, walk)
    finally:
        syncer.client.close()
        handheld.close()


def books(app: Flask) -> dict[str, list[tuple[object, ...]]]:
    """What the captures came to, without the numbers that depend on their order."""
    statements = {
        "balances": select(Account.account_no, AccountBalance.unit, AccountBalance.balance).join(
            Account, Account.id == AccountBalance.account_id
        ),
        "bills": select(
            Account.account_no, Bill.period, Bill.status, Bill.quantity, Bill.total
        ).join(Account, Account.id == Bill.account_id),
        "readings": select(Reading.service_point_id, Reading.value, Reading.source, Reading.status),
        "orders": select(ReadOrder.id, ReadOrder.status),
    }
    with app.app_context(), snapshot() as session:
        return {
            name: sorted(tuple(row) for row in session.execute(statement))
            for name, statement in statements.items()
        }


def held(app: Flask) -> list[Held]:
    """What the server holds of every item, its photos that have come included."""
    with app.app_context(), snapshot() as session:
        come: dict[object, set[str]] = {}
        for uuid, sha256 in session.execute(
            select(Attachment.capture_uuid, Attachment.sha256).where(
                Attachment.status == "received"
            )
        ):
            come.setdefault(uuid, set()).add(sha256)
        events = session.execute(select(CaptureEvent.uuid, CaptureEvent.payload))
        return [
            Held(str(uuid), digest(payload["data"]), frozenset(come.get(uuid, ())))
            for uuid, payload in events
        ]


def test_a_restored_server_gets_back_everything_the_handhelds_ever_sent(
    app: Flask, world: worlds.World, stage: Stage, codes: list[str], tmp_path: Path
) -> None:
    """Field story: the server burns down after lunch, the last backup is of the morning."""
    backup, devices = tmp_path / "morning.fieldbell", tmp_path / "devices"
    stage.start_web()
    for number, code in enumerate(codes):
        with device(devices, stage.base_url, number) as each:
            each.syncer.enrol(code)
            each.sync()
            each.handheld.start_shift()
            each.read(2)
            each.sync()
    stage.flask("backup", "create", str(backup))

    for number in range(REPS):
        with device(devices, stage.base_url, number) as each:
            each.read(STOPS_EACH)
            each.handheld.end_shift()
            each.sync()
    before = books(app)
    assert len(before["bills"]) == REPS * STOPS_EACH
    assert any(entry.attachments for n in range(REPS) for entry in witnessed(devices, n))

    stage.running.pop("web").terminate()
    for room in ("blobs", "thumbnails", "parts"):
        _remove(stage.folder / "var" / room)
    stage.flask("backup", "restore", str(backup), "--replace")
    assert len(books(app)["bills"]) == REPS * 2
    stage.start_web()

    for number in range(REPS):
        with device(devices, stage.base_url, number) as each:
            each.sync()
    assert books(app) == before
    everything = [entry for n in range(REPS) for entry in witnessed(devices, n)]
    report = compare(everything, held(app))
    assert report.ok, report
    assert report.witnessed == REPS * (STOPS_EACH + 2)
    assert stage.flask("reconcile")
    stage.flask("backup", "create", str(tmp_path / "evening.fieldbell"))


def witnessed(devices: Path, number: int) -> list:
    """What the witness of a handheld saw."""
    return read_witness(devices / f"h{number}" / "witness.jsonl")


def _remove(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


def test_photos_arrive_whole_over_a_link_that_keeps_breaking(
    app: Flask, world: worlds.World, stage: Stage, codes: list[str], tmp_path: Path
) -> None:
    stage.start_web()
    rates = {"mid_body": 0.15, "after_commit": 0.15, "reset_before_send": 0.1}
    with FaultProxy("127.0.0.1", stage.web_port, rates=rates, seed="7") as link:
        with device(tmp_path, stage.base_url, 0) as each:
            each.syncer.enrol(codes[0])
            each.sync()
            each.handheld.start_shift()
            each.read(STOPS_EACH)
        tries = 0
        while True:
            tries += 1
            assert tries < 200
            # Each try is a handheld that was switched off and on again.
            with device(tmp_path, link.url, 0) as each:
                done = each.syncer.sync().error is None
                store = each.handheld.store
                if done and not store.unsent()[0] and not store.photos_unsent():
                    break
    assert {"mid_body", "after_commit"} <= set(link.applied)
    entries = witnessed(tmp_path, 0)
    assert sum(len(entry.attachments) for entry in entries) >= 2
    report = compare(entries, held(app))
    assert report.ok, report
