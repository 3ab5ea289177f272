"""People at desks and what they see: sign-ins without the form, pages as text, forms with their token."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient

from server import clock
from server.capture.office import OfficeReading, record_office_readings
from server.capture.settle import billing_rules
from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import Staff
from server.metering.service import DialEntry
from server.tracking.service import ShiftChange, record_shifts, record_track
from tests import world as tests_world

SHIFT = UUID("00000000-0000-4000-8000-000000000001")
CODE = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def hire(app: Flask, username: str, role: str, org_unit_id: int | None = None, **more: Any) -> int:
    """Add a person with a role; returns his id."""
    with app.app_context(), transaction() as session:
        return identity.add_staff(
            session,
            SYSTEM,
            username=username,
            name=more.pop("name", username),
            password_hash="-",
            roles=[role],
            org_unit_id=org_unit_id,
            **{"language": "en", **more},
        ).id


class Desk:
    """A browser of one signed-in person."""

    def __init__(self, app: Flask, staff_id: int | None) -> None:
        self.client: FlaskClient = app.test_client()
        if staff_id is not None:
            with app.app_context(), snapshot() as session:
                key = session.get_one(Staff, staff_id).fs_uniquifier
            with self.client.session_transaction() as kept:
                kept["_user_id"], kept["_fresh"] = key, True

    def see(self, path: str, status: int = 200) -> str:
        """The text of a page."""
        answer = self.client.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text[:2000])
        return answer.text

    def code(self, page: str = "/me") -> str:
        """The token of a form."""
        found = CODE.search(self.client.get(page).text)
        assert found is not None
        return found[1]

    def post(self, path: str, status: int = 302, /, **fields: Any) -> Any:
        """Send a form with its token; the answer, not followed."""
        answer = self.client.post(path, data={"csrf_token": self.code(), **fields})
        assert answer.status_code == status, (path, answer.status_code, answer.text[:2000])
        return answer


def key(app: Flask, staff_id: int, point: tests_world.Point, value: int) -> int:
    """Have a person key a reading at the desk; returns the reading's id."""
    with app.app_context(), transaction() as session:
        staff = session.get_one(Staff, staff_id)
        actor = identity.actor_of(session, staff)
        reading = OfficeReading(
            point_no=point.point_no,
            registers=(DialEntry("total", tests_world.Decimal(value)),),
            read_at=tests_world.READ_AT,
        )
        rules = billing_rules(app.extensions["fieldbell"])
        return record_office_readings(session, actor, [reading], rules)[0].reading_ids[0]


def walk(
    app: Flask,
    world: tests_world.World,
    lat: float = 31.2331,
    lon: float = 121.4735,
    ago_s: int = 5,
) -> None:
    """Let the reader be somewhere on his shift."""
    with app.app_context(), transaction() as session:
        at = clock.now() - timedelta(hours=2)
        record_shifts(
            session,
            [ShiftChange(SHIFT, world.reader_id, world.device_id, "started", at)],
        )
        fix = clock.to_ms(clock.now()) - ago_s * 1000
        record_track(
            session,
            rep_id=world.reader_id,
            device_id=world.device_id,
            crs="wgs84",
            points=[[fix, round(lat * 1e7), round(lon * 1e7), 60, 120, 900, 80]],
            received_at=clock.now(),
        )
