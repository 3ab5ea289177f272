"""What people do at their desks: decide, key readings, enrol, assign, search, export."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select

from server import feed
from server.accounts.models import Account
from server.audit import AuditEvent
from server.billing.models import Bill
from server.console import paging
from server.db import snapshot, transaction
from server.identity.models import Device, OrgUnit, Role, RolePermission, Staff
from server.metering.models import Reading, ReadOrder
from server.notify.models import OutboxMessage
from server.review import ReviewItem
from server.rounds.models import Route
from tests.console.conftest import Office
from tests.console.office import Desk, hire, key
from tests.world import TARIFF


def _status(office: Office, reading_id: int) -> str:
    with office.app.app_context(), snapshot() as session:
        return session.get_one(Reading, reading_id).status


def _item(office: Office, reading_id: int) -> int:
    with office.app.app_context(), snapshot() as session:
        return session.execute(
            select(ReviewItem.id).where(ReviewItem.subject_id == str(reading_id))
        ).scalar_one()


def test_a_held_reading_shows_the_rule_in_words_and_is_released_and_billed(
    office: Office, admin: Desk
) -> None:
    reading_id = key(office.app, office.clerk_id, office.world.points[0], 9000)
    assert _status(office, reading_id) == "held"
    page = office.desk(office.manager_id).see("/review")
    assert "Use far above what was expected" in page
    assert "expected about 200, at most" in page
    office.desk(office.manager_id).post(
        f"/review/{_item(office, reading_id)}", way="release", why="seen on the photo"
    )
    assert _status(office, reading_id) == "confirmed"
    with office.app.app_context(), snapshot() as session:
        assert session.scalars(select(Bill)).one().quantity == 8000
        assert session.scalars(select(OutboxMessage)).one().event == "bill.issued"
    assert "seen on the photo" in admin.see(f"/readings/{reading_id}")


def test_nobody_decides_about_his_own_reading(office: Office) -> None:
    reading_id = key(office.app, office.clerk_id, office.world.points[0], 9000)
    answer = office.desk(office.clerk_id).post(
        f"/review/{_item(office, reading_id)}", 403, way="release", why="I am sure"
    )
    assert "You took this reading yourself" in answer.text
    assert "I am sure" in answer.text
    assert _status(office, reading_id) == "held"


def test_a_decision_needs_a_reason(office: Office) -> None:
    reading_id = key(office.app, office.clerk_id, office.world.points[0], 9000)
    answer = office.desk(office.manager_id).post(
        f"/review/{_item(office, reading_id)}", 422, way="discard", why="  "
    )
    assert "Say in a few words why" in answer.text
    assert _status(office, reading_id) == "held"


def test_refusing_opens_the_order_again(office: Office) -> None:
    point = office.world.points[0]
    reading_id = key(office.app, office.clerk_id, point, 9000)
    office.desk(office.manager_id).post(
        f"/review/{_item(office, reading_id)}", way="discard", why="wrong meter read"
    )
    assert _status(office, reading_id) == "discarded"
    with office.app.app_context(), snapshot() as session:
        assert session.get_one(ReadOrder, point.order_id).status == "open"
    assert "Nothing waits for a decision" in office.desk(office.manager_id).see("/review")


def test_a_decided_item_cannot_be_decided_again(office: Office) -> None:
    reading_id = key(office.app, office.clerk_id, office.world.points[0], 9000)
    item = _item(office, reading_id)
    manager = office.desk(office.manager_id)
    manager.post(f"/review/{item}", way="discard", why="misread")
    answer = manager.post(f"/review/{item}", 409, way="release", why="after all")
    assert "no longer held" in answer.text


def test_what_had_no_tariff_is_billed_once_it_has_one(office: Office) -> None:
    point = office.world.points[0]
    with office.app.app_context(), transaction() as session:
        session.get_one(Account, point.account_id).tariff_code = "not-yet"
    key(office.app, office.clerk_id, point, 1200)
    item = _item(office, point.account_id)
    desk = office.desk(office.clerk_id)
    answer = desk.post(f"/review/{item}", 409, way="bill", why="new tariff")
    assert "is there a tariff" in answer.text
    with office.app.app_context(), transaction() as session:
        session.get_one(Account, point.account_id).tariff_code = TARIFF
    desk.post(f"/review/{item}", way="bill", why="new tariff")
    with office.app.app_context(), snapshot() as session:
        assert session.scalars(select(Bill.quantity)).one() == 200
        assert session.get_one(ReviewItem, item).status == "released"


def test_an_item_is_given_only_to_somebody_who_may_decide_about_it(office: Office) -> None:
    """The team's manager may; his equal of another team, a reader, the author and who left may not."""
    desk = office.desk(office.manager_id)
    key(office.app, office.clerk_id, office.world.points[0], 9000)
    with office.app.app_context(), transaction() as session:
        other = OrgUnit(kind="crew", code="team-2", name="二班", parent_id=office.world.root_id)
        session.add(other)
        session.flush()
        item = session.scalars(select(ReviewItem.id)).one()
        unit = other.id
    stranger = hire(office.app, "stranger", "manager", unit)
    gone = hire(office.app, "gone", "manager", office.world.team_id)
    chief = hire(office.app, "chief", "manager", office.world.root_id)
    with office.app.app_context(), transaction() as session:
        session.get_one(Staff, gone).active = False
    admin = office.desk(office.admin_id)
    page = admin.see(f"/review?item={item}")
    offered = re.search(r'<select id="owner".*?</select>', page)
    assert offered is not None
    assert set(re.findall(r'value="(\d+)"', offered[0])) == {
        str(n) for n in (office.admin_id, office.manager_id, chief)
    }
    for wrong in (stranger, gone, office.world.reader_id, office.clerk_id):
        answer = admin.post(f"/review/{item}/owner", 409, owner=str(wrong))
        assert "review.not_his" in answer.text
    desk.post(f"/review/{item}/owner", owner=str(office.manager_id))
    with office.app.app_context(), snapshot() as session:
        assert session.get_one(ReviewItem, item).owner_id == office.manager_id
    assert f"item={item}" in desk.see("/review?owner=me")
    assert f"item={item}" not in admin.see("/review?owner=me")


def test_a_dial_that_passed_zero_is_released_as_such(office: Office) -> None:
    reading_id = key(office.app, office.clerk_id, office.world.points[0], 900)
    item, manager = _item(office, reading_id), office.desk(office.manager_id)
    answer = manager.post(f"/review/{item}", 409, way="release", why="looks right")
    assert "say that the dial passed zero" in answer.text
    manager.post(f"/review/{item}", way="rollover", why="photo shows 00900")
    with office.app.app_context(), snapshot() as session:
        assert session.scalars(select(Bill)).one().quantity == 99_900


def test_a_reading_keyed_at_the_desk_goes_through_the_same_rules(office: Office) -> None:
    clerk, point = office.desk(office.clerk_id), office.world.points[0]
    page = clerk.see(f"/readings/new?point={point.point_no}")
    assert point.serial in page
    uuid = re.search(r'name="uuid" value="([^"]+)"', page)
    assert uuid is not None
    fields: dict[str, Any] = {
        "point_no": point.point_no,
        "value.total": "1210",
        "read_at": "2026-11-01T10:00",
        "source": "customer",
        "uuid": uuid[1],
    }
    first = clerk.post("/readings/new", **fields)
    again = clerk.post("/readings/new", **fields)
    assert first.location == again.location
    assert "confirmed" in clerk.see(first.location)
    assert "customer" in clerk.see(first.location)


def test_a_mistyped_reading_is_explained_beside_its_field(office: Office) -> None:
    clerk, point = office.desk(office.clerk_id), office.world.points[0]
    answer = clerk.post(
        "/readings/new",
        422,
        **{"point_no": point.point_no, "value.total": "12a4", "read_at": "2026-11-01T10:00"},
    )
    assert "Type the figures of the dial" in answer.text
    assert 'value="12a4"' in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_a_reading_of_an_unknown_point_is_explained(office: Office) -> None:
    page = office.desk(office.clerk_id).see("/readings/new?point=S9999")
    assert "There is no service point with this number" in page


def test_search_finds_by_number_serial_phone_and_name(office: Office, admin: Desk) -> None:
    point = office.world.points[1]
    target = f"/accounts/{point.account_id}"
    for text in (
        point.account_no,
        point.serial,
        point.point_no,
        point.phone,
        "客户 002",
        "南京路2号",
    ):
        answer = admin.client.get("/search", query_string={"q": text})
        assert answer.status_code == 302, text
        assert answer.location == target, text
    assert "Nothing found" in office.desk(office.clerk_id).see("/search?q=%25%25")


def test_phones_are_masked_until_asked_and_the_look_is_written_down(office: Office) -> None:
    clerk, point = office.desk(office.clerk_id), office.world.points[0]
    key(office.app, office.manager_id, point, 1200)
    assert point.phone not in clerk.see(f"/accounts/{point.account_id}")
    assert point.phone not in clerk.see("/messages")
    assert point.phone not in clerk.see("/messages.csv")
    clerk.post(f"/accounts/{point.account_id}/phones")
    assert point.phone in clerk.see(f"/accounts/{point.account_id}")
    message = re.search(r'href="(/messages/\d+)"', clerk.see("/messages"))
    assert message is not None
    clerk.post(f"{message[1]}/phone")
    assert point.phone in clerk.see(message[1])
    with office.app.app_context(), snapshot() as session:
        seen = session.execute(
            select(AuditEvent.subject_type).where(AuditEvent.action == "phone.shown")
        ).scalars()
        assert sorted(seen) == ["account", "message"]


def test_lists_page_by_key_without_gap_or_double(
    office: Office, admin: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n, point in enumerate(office.world.points):
        key(office.app, office.clerk_id, point, 1200 + n)
    ids: list[str] = []
    path: str | None = "/readings"
    monkeypatch.setitem(paging.page.__kwdefaults__ or {}, "size", 2)
    while path:
        page = admin.see(path)
        ids += re.findall(r'data-open href="/readings/(\d+)"', page)
        older = re.search(r'rel="next" href="([^"]+)"', page) or re.search(
            r'href="([^"]+)"[^>]*rel="next"', page
        )
        path = older[1].replace("&amp;", "&") if older else None
    assert len(ids) == 6
    assert ids == sorted(set(ids), key=int, reverse=True)


def test_a_list_is_exported_as_csv_without_formulas(office: Office, admin: Desk) -> None:
    key(office.app, office.clerk_id, office.world.points[0], 1200)
    lines = admin.see("/readings.csv").splitlines()
    assert lines[0].startswith("\ufeffid,status")
    assert len(lines) == 5
    for formula in ("=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3"):
        assert paging._harmless(formula) == "'" + formula
    for plain in ("-12.50", "+8612000000001", "客户 001", ""):
        assert paging._harmless(plain) == plain


@pytest.mark.parametrize("name", ["readings", "accounts", "messages"])
def test_who_exports_a_list_stands_in_the_audit_trail(office: Office, name: str) -> None:
    office.desk(office.manager_id).see(f"/{name}.csv?status=held")
    with office.app.app_context(), snapshot() as session:
        (row,) = session.scalars(
            select(AuditEvent).where(AuditEvent.action == f"{name}.exported")
        ).all()
        assert (row.actor_id, row.after) == (office.manager_id, {"query": "status=held"})


def test_filters_live_in_the_address(office: Office, admin: Desk) -> None:
    key(office.app, office.clerk_id, office.world.points[0], 9000)
    assert "客户 001" in admin.see("/readings?status=held")
    assert "客户 002" not in admin.see("/readings?status=held")
    assert "客户 001" in admin.see(f"/readings?route={office.world.route_id}&date=2026-11-01")
    assert "客户 001" not in admin.see("/readings?date=2026-11-02")
    admin.see("/readings?status=nonsense&date=31.31.2026&route=x&after=-1&point=y")


def test_a_handheld_is_enrolled_shut_out_and_replaced(office: Office) -> None:
    manager, device_id = office.desk(office.manager_id), office.world.device_id
    page = manager.post("/devices/enrol", 200, replaces=device_id).text
    assert "<svg" in page
    code = re.search(r'class="code">([2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4})<', page)
    assert code is not None
    answer = office.app.test_client().post(
        "/device/v1/enrol", json={"code": code[1], "device": {"install_id": "two"}}
    )
    assert answer.status_code == 201
    with office.app.app_context(), snapshot() as session:
        assert session.get_one(Device, device_id).status == "replaced"
        new_id = session.execute(select(Device.id).where(Device.install_id == "two")).scalar_one()
    manager.post(f"/devices/{new_id}/revoke")
    assert "shut out" in manager.see(f"/devices/{new_id}")


def test_a_route_given_to_another_reader_is_told_to_the_handhelds(office: Office) -> None:
    new_reader = hire(office.app, "second", "meter_reader", office.world.team_id)
    office.desk(office.manager_id).post(
        f"/routes/{office.world.route_id}/reader", reader_id=new_reader
    )
    with office.app.app_context(), snapshot() as session:
        assert session.get_one(Route, office.world.route_id).reader_id == new_reader
        scope = f"route:{office.world.route_id}"
        newest = feed.changes_after(session, scope, 0, 1000)[-1]
        assert newest.collection == "route"


def test_a_person_is_added_with_roles_and_a_taken_name_is_explained(
    office: Office, admin: Desk
) -> None:
    fields: dict[str, Any] = {
        "username": "nurse",
        "name": "New",
        "password": "long enough 1",
        "language": "en",
        "roles": ["dispatcher"],
        "team": str(office.world.team_id),
    }
    admin.post("/staff/new", **fields)
    with office.app.app_context(), snapshot() as session:
        person = session.execute(select(Staff).where(Staff.username == "nurse")).scalar_one()
        assert [role.name for role in person.roles] == ["dispatcher"]
        assert person.password is not None
        assert person.password.startswith("$")
    answer = admin.post("/staff/new", 409, **fields)
    assert "用户名已被占用" in answer.text
    short = admin.post("/staff/new", 422, **{**fields, "username": "x", "password": "short"})
    assert "至少 8 个字符" in short.text


def test_nobody_gives_away_more_than_he_has(office: Office) -> None:
    """A manager who may edit his team adds a reader to it: no administrator, and nowhere else."""
    with office.app.app_context(), transaction() as session:
        editor = session.scalars(select(Role).where(Role.name == "repair")).one()
        for action in ("view", "edit"):
            editor.rights.append(RolePermission(resource="staff", action=action, scope="team"))
        manager = session.get_one(Staff, office.manager_id)
        manager.roles.append(editor)
    desk = office.desk(office.manager_id)
    page = desk.see("/staff/new")
    offered = set(re.findall(r'name="roles"[^>]*value="(\w+)"', page))
    assert {"manager", "meter_reader", "seller"} <= offered
    assert offered.isdisjoint({"admin", "auditor", "billing_clerk", "dispatcher"})
    form = {
        "username": "new",
        "name": "新",
        "language": "en",
        "password": "a long enough phrase",
        "team": str(office.world.team_id),
    }
    answer = desk.post("/staff/new", 403, roles=["meter_reader", "admin"], **form)
    assert "beyond your own rights" in answer.text
    outside = {**form, "team": str(office.world.root_id)}
    assert "not yours" in desk.post("/staff/new", 403, roles="seller", **outside).text
    desk.post("/staff/new", roles="meter_reader", **form)
    boss = hire(office.app, "boss", "admin", office.world.team_id)
    answer = desk.post(f"/staff/{boss}/active", 403, active="no")
    assert "beyond your own rights" in answer.text


def test_a_personal_token_is_shown_once_and_revoked(admin: Desk) -> None:
    page = admin.post("/me/tokens", 200, name="my script").text
    token = re.search(r"fb_[\w-]{20,}", page)
    assert token is not None
    assert token[0] not in admin.see("/me")
    revoke = re.search(r'action="(/me/tokens/\d+/revoke)"', admin.see("/me"))
    assert revoke is not None
    admin.post(revoke[1])
    assert revoke[1] not in admin.see("/me")
