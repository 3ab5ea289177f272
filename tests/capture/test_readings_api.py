"""Readings by office or customer: the JSON API and its CSV door, under the field's own rules."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import func, select

from server.billing.models import Bill
from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import ApiToken, Staff
from server.metering.models import Reading
from tests import world as worlds

AT = worlds.READ_AT.isoformat()


@pytest.fixture
def world(app):
    return worlds.build(app)


def person(app, world, username, roles):
    """A personal token of a new member of staff of the team."""
    with app.app_context(), transaction() as session:
        staff = identity.add_staff(
            session,
            SYSTEM,
            username=username,
            name=username,
            password_hash="-",
            roles=roles,
            org_unit_id=world.team_id,
        )
        actor = identity.actor_of(session, staff)
        return identity.create_api_token(session, actor, "test")[1]


class Office:
    """Somebody at a desk with a personal token."""

    def __init__(self, app, token):
        self.client = app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"}

    def post(self, *readings):
        return self.client.post(
            "/api/v1/readings", json={"readings": list(readings)}, headers=self.headers
        )

    def post_csv(self, text, encoding="utf-8"):
        return self.client.post(
            "/api/v1/readings/csv",
            data=text.encode(encoding),
            content_type="text/csv",
            headers=self.headers,
        )


@pytest.fixture
def office(app, world):
    return Office(app, person(app, world, "clerk", ["billing_clerk"]))


def entry(point, value, **more):
    return {
        "point_no": point.point_no,
        "read_at": AT,
        "registers": [{"value": str(value)}],
        **more,
    }


def count(app, model, *where):
    with app.app_context(), snapshot() as session:
        return session.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


def test_a_reading_by_the_office_is_judged_and_billed_like_one_of_the_field(app, world, office):
    answer = office.post(entry(world.points[0], 1200), entry(world.points[1], 900))
    assert answer.status_code == 200, answer.text
    good, low = answer.get_json()["results"]
    assert (good["verdict"], low["verdict"], low["code"]) == (
        "applied",
        "held",
        "reading.below_previous",
    )
    assert count(app, Bill) == 1
    assert count(app, Reading, Reading.source == "office") == 2


def test_the_same_uuid_again_changes_nothing(app, world, office):
    again = entry(world.points[0], 1200, uuid=str(uuid.uuid4()))
    first, second = (office.post(again).get_json()["results"][0] for _ in range(2))
    assert (first["verdict"], first["replayed"]) == ("applied", False)
    assert (second["verdict"], second["replayed"]) == ("applied", True)
    assert second["reading_ids"] == first["reading_ids"]
    assert count(app, Bill) == 1


def test_a_customers_own_reading_is_marked_as_such(app, world, office):
    office.post(entry(world.points[0], 1200, source="customer"))
    assert count(app, Reading, Reading.quality == "customer") == 1


def test_an_unknown_point_is_rejected_and_its_neighbour_goes_through(app, world, office):
    unknown = entry(world.points[0], 1200) | {"point_no": "NOBODY"}
    results = office.post(unknown, entry(world.points[1], 1200)).get_json()["results"]
    assert [r["verdict"] for r in results] == ["rejected", "applied"]
    assert results[0]["code"] == "reading.unknown_point"


def test_bad_fields_are_named_with_their_path(app, world, office):
    bad = entry(world.points[0], "12a4", source="rumour")
    answer = office.post(bad)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "request.invalid")
    assert set(answer.get_json()["details"]["fields"]) == {
        "readings.0.registers.0.value",
        "readings.0.source",
    }


def test_a_person_without_the_right_is_refused(app, world):
    auditor = Office(app, person(app, world, "auditor", ["auditor"]))
    answer = auditor.post(entry(world.points[0], 1200))
    assert (answer.status_code, answer.get_json()["code"]) == (403, "identity.forbidden")
    assert count(app, Reading, Reading.source == "office") == 0


def test_a_reader_records_only_on_his_own_routes(app, world):
    stranger = Office(app, person(app, world, "other", ["meter_reader"]))
    result = stranger.post(entry(world.points[0], 1200)).get_json()["results"][0]
    assert (result["verdict"], result["code"]) == ("rejected", "reading.unknown_point")


def test_a_revoked_token_and_a_person_who_left_open_nothing(app, world, office):
    with app.app_context(), transaction() as session:
        session.execute(select(Staff).where(Staff.username == "clerk")).scalar_one().active = False
    assert office.post(entry(world.points[0], 1200)).status_code == 401
    with app.app_context(), transaction() as session:
        session.execute(select(Staff).where(Staff.username == "clerk")).scalar_one().active = True
        session.execute(select(ApiToken)).scalar_one().revoked_at = worlds.NOW
    assert office.post(entry(world.points[0], 1200)).get_json()["code"] == "auth.token_unknown"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_with_a_bad_row_in_the_middle_loses_no_good_row(app, world, office, encoding):
    lines = [
        "point_no,read_at,value,note",
        f"S0001,{AT},1200,抄表",
        f"S0002,{AT},12x0,坏行",
        f"NOBODY,{AT},1200,",
        f"S0003,{AT},1210,",
    ]
    answer = office.post_csv("\n".join(lines), encoding)
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert (body["rows"], body["verdicts"]) == (4, {"applied": 2, "rejected": 1})
    assert [(b["line"], b["column"], b["code"]) for b in body["bad_rows"]] == [
        (3, "value", "row.invalid"),
        (4, "point_no", "reading.unknown_point"),
    ]
    with app.app_context(), snapshot() as session:
        assert session.execute(select(Reading.note).where(Reading.note == "抄表")).all()


def test_a_csv_without_its_columns_is_refused_whole(app, world, office):
    answer = office.post_csv("point,when\n1,2\n")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "csv.columns")
    assert answer.get_json()["details"]["missing"] == ["point_no", "read_at", "value"]


def test_the_same_uuid_with_other_content_is_a_conflict_and_counts_for_nothing(app, world, office):
    same = str(uuid.uuid4())
    office.post(entry(world.points[0], 1200, uuid=same))
    for other in (
        entry(world.points[0], 1300, uuid=same),
        entry(world.points[1], 1200, uuid=same),
        entry(world.points[0], 1200, uuid=same, read_at="2026-11-01T00:00:00+00:00"),
    ):
        (result,) = office.post(other).json["results"]
        assert (result["verdict"], result["code"]) == ("conflict", "item.same_id_other_content")
        assert (result["replayed"], result["reading_ids"]) == (False, [])
    assert count(app, Bill) == 1


def test_a_uuid_that_stands_twice_in_one_call_has_one_effect(app, world, office):
    same = str(uuid.uuid4())
    reading = entry(world.points[0], 1200, uuid=same)
    other = entry(world.points[1], 1300, uuid=same)
    first, again, foreign = office.post(reading, reading, other).json["results"]
    assert (first["verdict"], first["replayed"]) == ("applied", False)
    assert (again["verdict"], again["replayed"]) == ("applied", True)
    assert again["reading_ids"] == first["reading_ids"]
    assert foreign["code"] == "item.same_id_other_content"
    assert count(app, Bill) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"note": "a\x00b"},
        {"meter_serial": "a\x00"},
        {"point_no": "a\x00"},
        {"note": "\ud800"},
        {"read_at": "0001-01-01T00:00:00+08:00"},
        {"read_at": "9999-12-31T23:59:59-08:00"},
    ],
)
def test_what_no_database_stores_is_refused_with_its_field(world, office, bad):
    answer = office.post(entry(world.points[0], 1200) | bad)
    assert answer.status_code == 422
    assert next(iter(bad)) in answer.text


def test_a_csv_row_with_a_nul_is_reported_and_its_neighbours_go_through(app, world, office):
    rows = [
        f"{point.point_no},{AT},1200,{note}"
        for point, note in zip(world.points[:2], ("", "a\x00b"), strict=True)
    ]
    answer = office.post_csv("\n".join(["point_no,read_at,value,note", *rows]))
    assert answer.json["verdicts"] == {"applied": 1}
    assert [(bad["line"], bad["column"]) for bad in answer.json["bad_rows"]] == [(3, "note")]
    assert count(app, Bill) == 1


def test_a_csv_file_with_an_endless_cell_is_refused_with_a_code(office):
    answer = office.post_csv("point_no,read_at,value\n" + "x" * 200_000)
    assert (answer.status_code, answer.json["code"]) == (422, "csv.malformed")
