"""Texts over the JSON API: good, bad, twice, in part, in vain."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from server import clock
from server.audit import AuditEvent
from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.notify import service
from server.notify.models import Gateway, OutboxMessage, OutboxSegment
from tests import world as worlds

PHONE = "+8612000000077"
URL = "/api/v1/messages"


class Caller:
    """Somebody with a personal token."""

    def __init__(self, app, world, username, role):
        with app.app_context(), transaction() as session:
            staff = identity.add_staff(
                session,
                SYSTEM,
                username=username,
                name=username,
                password_hash="-",
                roles=[role],
                org_unit_id=world.team_id,
            )
            token = identity.create_api_token(session, identity.actor_of(session, staff), "t")[1]
            self.id = staff.id
        self.client = app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"}

    def call(self, method, path="", **more):
        return self.client.open(URL + path, method=method, headers=self.headers, **more)

    def post(self, *messages):
        return self.call("POST", json={"messages": list(messages)})


@pytest.fixture
def world(app):
    return worlds.build(app, points=2)


@pytest.fixture
def clerk(app, world):
    return Caller(app, world, "clerk", "billing_clerk")


def text(**more):
    return {"phone": PHONE, "text": "明日8时至12时停电", **more}


def test_a_text_is_queued_seen_listed_and_withdrawn(app, clerk):
    (made,) = clerk.post(text(key="k1")).get_json()["results"]
    assert (made["key"], made["status"], made["segments"], made["replayed"], made["code"]) == (
        *("k1", "queued", 1, False),
        None,
    )
    seen = clerk.call("GET", f"/{made['id']}").get_json()
    assert (seen["phone"], seen["text"], seen["status"]) == (PHONE, "明日8时至12时停电", "queued")
    assert (seen["cost"], seen["parts"], seen["key"]) == ("0", [], "k1")
    for query in ("?key=k1", "?phone=120-0000-0077", "?status=queued&limit=1"):
        listed = clerk.call("GET", query).get_json()
        assert [one["id"] for one in listed["messages"]] == [made["id"]], query
        assert listed["before"] is None
    assert clerk.call("DELETE", f"/{made['id']}").status_code == 204
    again = clerk.call("DELETE", f"/{made['id']}")
    assert (again.status_code, again.get_json()["code"]) == (409, "notify.too_late")
    with app.app_context(), snapshot() as session:
        acts = session.scalars(select(AuditEvent.action).where(AuditEvent.actor_id == clerk.id))
        assert {"messages.sent", "message.cancelled"} <= set(acts)


def test_a_bad_text_stops_no_good_one(world, clerk):
    account = world.points[0].account_no
    wanted = (
        text(key="a"),
        text(key="b", phone="123"),
        {"account_no": account, "text": "hello"},
        {"account_no": "NOBODY", "text": "hello"},
        {"phone": PHONE, "contact_id": 1, "text": "who?"},
        text(key="c", text="电" * 700),
        text(key="a", text="other words"),
        text(key="a"),
        {"phone": PHONE, "template": "bill.issued", "data": {"no": "1"}},
    )
    results = clerk.post(*wanted).get_json()["results"]
    assert [result["code"] for result in results] == [
        None,
        "message.bad_phone",
        None,
        "account.unreachable",
        "message.no_recipient",
        "notify.text_too_long",
        "notify.key_reused",
        None,
        "notify.missing_data",
    ]
    assert (results[7]["id"], results[7]["replayed"]) == (results[0]["id"], True)
    assert results[5]["details"] == {"segments": 11, "maximum": 10}


def test_the_same_key_is_the_same_text_and_other_content_is_a_conflict(app, world, clerk):
    first = clerk.post(text(key="k")).get_json()["results"][0]
    second = clerk.post(text(key="k")).get_json()["results"][0]
    assert (second["id"], second["replayed"]) == (first["id"], True)
    other = clerk.post(text(key="k", text="other"))
    assert (other.status_code, other.get_json()["code"]) == (409, "notify.key_reused")
    stranger = Caller(app, world, "other", "billing_clerk")
    assert stranger.post(text(key="k", text="other")).get_json()["results"][0]["code"] is None


def test_a_template_is_worded_with_values_in_the_language_asked_for(clerk):
    data = {
        "no": "10000001",
        "m": "2026-10",
        "kwh": "256.000",
        "amt": "137.7",
        "bal": "-137.7",
        "due": "2026-12-20",
    }
    wanted = {"phone": PHONE, "template": "bill.issued", "data": data}
    results = clerk.post(wanted, {**wanted, "language": "en"}).get_json()["results"]
    said = [clerk.call("GET", f"/{one['id']}").get_json()["text"] for one in results]
    assert "10月用电256度" in said[0]
    assert "137.70" in said[0]
    assert "12月20日" in said[0]
    assert "256 kWh in Oct 2026" in said[1]


def test_a_text_for_later_waits_and_one_that_ended_is_refused(clerk):
    later = (clock.now() + timedelta(hours=2)).isoformat()
    (made,) = clerk.post(text(not_before=later)).get_json()["results"]
    assert made["status"] == "held"
    assert clerk.call("DELETE", f"/{made['id']}").status_code == 204


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"phone": PHONE}, "messages.0.text"),
        (text(template="bill.issued"), "messages.0.text"),
        (text(data={"a": "b"}), "messages.0.data"),
        (text(text="a\x00b"), "messages.0.text"),
        (text(key="k" * 121), "messages.0.key"),
        (text(priority=0), "messages.0.priority"),
        (text(not_before="soon"), "messages.0.not_before"),
        (text(colour="red"), "messages.0.colour"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(clerk, message, field):
    answer = clerk.post(message)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "request.invalid")
    assert field in answer.get_json()["details"]["fields"]


def test_rights_bound_who_sends_and_who_sees(app, world, clerk):
    (made,) = clerk.post(text()).get_json()["results"]
    auditor = Caller(app, world, "auditor", "auditor")
    assert auditor.post(text()).status_code == 403
    seen = auditor.call("GET", f"/{made['id']}").get_json()
    assert PHONE not in str(seen)
    assert seen["key"] is None
    assert auditor.call("DELETE", f"/{made['id']}").status_code == 403
    dispatcher = Caller(app, world, "dispatcher", "dispatcher")
    assert dispatcher.call("GET", f"/{made['id']}").status_code == 404
    (own,) = dispatcher.post(text()).get_json()["results"]
    listed = dispatcher.call("GET").get_json()["messages"]
    assert [one["id"] for one in listed] == [own["id"]]
    reader = Caller(app, world, "walker", "meter_reader")
    assert reader.call("GET").status_code == 403
    assert clerk.client.get(URL).status_code == 401
    assert clerk.call("GET", f"/{2**70}").status_code == 404


def test_cost_is_that_of_the_accepted_parts(app, clerk):
    (made,) = clerk.post(text(text="电" * 100)).get_json()["results"]
    with app.app_context(), transaction() as session:
        service.put_gateway(session, "log", "log", {})
        gateway = session.scalars(select(Gateway.id).where(Gateway.name == "log")).one()
        session.get_one(OutboxMessage, made["id"]).gateway_id = gateway
        for part, state in ((1, "delivered"), (2, "refused")):
            session.add(
                OutboxSegment(
                    message_id=made["id"],
                    part=part,
                    gateway_id=gateway,
                    status=state,
                    carrier_id="A7" if part == 1 else None,
                    price=Decimal("0.045"),
                    submitted_at=clock.now(),
                )
            )
    seen = clerk.call("GET", f"/{made['id']}").get_json()
    assert (Decimal(seen["cost"]), seen["gateway"], seen["segments"]) == (
        Decimal("0.045"),
        "log",
        2,
    )
    assert [(part["status"], part["carrier_id"]) for part in seen["parts"]] == [
        ("delivered", "A7"),
        ("refused", None),
    ]
