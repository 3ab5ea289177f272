"""Whose data a person sees: lists, details, exports, search and live frames alike."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.db import snapshot, transaction
from server.identity.models import OrgUnit
from server.review import ReviewItem
from server.rounds.models import Route
from tests.console.conftest import Office
from tests.console.office import hire, key


@pytest.fixture
def other_team(office: Office) -> int:
    """A team that has nothing to do with the route."""
    with office.app.app_context(), transaction() as session:
        team = OrgUnit(kind="crew", code="team-2", name="二班", parent_id=office.world.root_id)
        session.add(team)
        session.flush()
        return team.id


def test_a_team_sees_its_own_and_another_sees_nothing(office: Office, other_team: int) -> None:
    point = office.world.points[0]
    reading_id = key(office.app, office.clerk_id, point, 900)
    ours, theirs = (
        office.desk(office.manager_id),
        office.desk(hire(office.app, "other", "manager", other_team)),
    )
    details = (
        f"/readings/{reading_id}",
        f"/accounts/{point.account_id}",
        f"/routes/{office.world.route_id}",
        f"/devices/{office.world.device_id}",
    )
    for path in details:
        ours.see(path)
        theirs.see(path, 404)
    for path, mark in (
        ("/readings", "客户 001"),
        ("/readings.csv", point.point_no),
        ("/accounts", point.account_no),
        ("/accounts.csv", point.account_no),
        ("/review", "客户 001"),
        ("/devices", "李抄表"),
        ("/routes", "南京路"),
        ("/map/data", point.point_no),
    ):
        assert mark in ours.see(path), path
        assert mark not in theirs.see(path), path
    assert ours.client.get(f"/search?q={point.account_no}").status_code == 302
    assert theirs.client.get(f"/search?q={point.account_no}").status_code == 200


def test_a_team_includes_the_teams_below_it(office: Office) -> None:
    above = office.desk(hire(office.app, "head", "manager", office.world.root_id))
    assert "南京路" in above.see("/routes")


def test_a_reader_sees_his_own_route_only(office: Office) -> None:
    reader = office.desk(office.world.reader_id)
    assert "南京路" in reader.see("/routes")
    with office.app.app_context(), transaction() as session:
        session.get_one(Route, office.world.route_id).reader_id = office.manager_id
    assert "南京路" not in reader.see("/routes")
    reader.see("/accounts", 403)


def test_a_decision_outside_the_scope_is_refused(office: Office, other_team: int) -> None:
    reading_id = key(office.app, office.clerk_id, office.world.points[0], 900)
    with office.app.app_context(), snapshot() as session:
        about = ReviewItem.subject_id == str(reading_id)
        item_id = session.execute(select(ReviewItem.id).where(about)).scalar_one()
    other = office.desk(hire(office.app, "other", "manager", other_team))
    other.post(f"/review/{item_id}", 404, way="discard", why="because")
    office.desk(office.manager_id).post(f"/review/{item_id}", way="discard", why="because")


def test_a_person_without_the_right_is_told_so(office: Office) -> None:
    clerk = office.desk(office.clerk_id)
    assert "do not have the right" in clerk.see("/devices", 403)
    clerk.post("/devices/enrol", 403, staff_id=office.world.reader_id)
    clerk.post(f"/routes/{office.world.route_id}/reader", 403, reader_id="")
