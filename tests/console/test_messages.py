"""The pages of messages at work: search, trace, writing to many, gateways, wordings, refusals, incoming."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from server import clock
from server.audit import AuditEvent
from server.db import snapshot, transaction
from server.desk import campaigns
from server.identity.actor import SYSTEM
from server.identity.models import Staff
from server.notify import consent, service
from server.notify.models import (
    FanOut,
    Gateway,
    InboundMessage,
    MessageDay,
    OutboxMessage,
    OutboxSegment,
    PhoneRefusal,
)
from tests.console.conftest import Office
from tests.console.office import Desk, hire

PHONE = "+8612000000055"
OTHERS = ("queued", "failed", "expired", "suppressed", "cancelled", "unknown")


def texts(office: Office) -> list[OutboxMessage]:
    """Every message in the order of writing."""
    with office.app.app_context(), snapshot() as session:
        return list(session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))


def queue(office: Office, text: str = "hello", status: str = "queued", key: str = "k") -> int:
    """A text to the customer of the first point, in a state."""
    point = office.world.points[0]
    notice = service.Notice(
        "operator.text", key, point.phone, "en", {"text": text}, account_id=point.account_id
    )
    with office.app.app_context(), transaction() as session:
        number = service.enqueue(session, [notice])[key]
        session.get_one(OutboxMessage, number).status = status
    return number


def gateway(office: Office) -> int:
    """The id of a gateway with a price."""
    config = {"host": "carrier.example", "port": 2775, "system_id": "me", "password": "very secret"}
    with office.app.app_context(), transaction() as session:
        service.put_gateway(session, "east", "smpp", config, simulated=True)
        session.flush()
        begins = clock.now().replace(year=2020)
        service.put_price(session, SYSTEM, "east", service.Price("", Decimal("0.05"), begins))
        return session.scalars(select(Gateway.id).where(Gateway.name == "east")).one()


def test_messages_are_searched_and_one_is_traced_in_both_languages(
    office: Office, admin: Desk
) -> None:
    number, way = queue(office, "你好" * 50, "delivered"), gateway(office)
    with office.app.app_context(), transaction() as session:
        now = clock.now()
        session.get_one(OutboxMessage, number).gateway_id = way
        for part, carrier_id in ((1, "A1B2"), (2, "A1B3")):
            session.add(
                OutboxSegment(
                    message_id=number,
                    part=part,
                    gateway_id=way,
                    status="delivered",
                    carrier_id=carrier_id,
                    price=Decimal("0.05"),
                    submitted_at=now,
                    answered_at=now,
                    reported_at=now,
                )
            )
    point = office.world.points[0]
    today = clock.now().date()
    for language in ("en", "zh_Hans"):
        admin.post("/language", language=language, back="/")
        for found in (
            f"phone={point.phone[3:]}",
            f"account={point.account_no}",
            f"gateway={way}&event=operator.text&status=delivered",
            f"from={today}&to={today}",
        ):
            page = admin.see(f"/messages?{found}")
            assert f"/messages/{number}" in page, found
            assert "0.10" in page, found
        for other in ("event=bill.issued", *(f"status={state}" for state in OTHERS)):
            assert f"/messages/{number}" not in admin.see(f"/messages?{other}")
        assert ("simulated" in admin.see("/gateways")) == (language == "en")
        page = admin.see(f"/messages/{number}")
        assert "A1B2" in page
        assert "0.10" in page
        assert point.phone not in page


def test_a_text_is_withdrawn_and_an_ended_one_sent_again_once(office: Office) -> None:
    clerk = office.desk(office.clerk_id)
    waiting, failed = queue(office), queue(office, "again", "failed", "k2")
    clerk.post(f"/messages/{waiting}/cancel")
    clerk.post(f"/messages/{waiting}/cancel", 409)
    for _ in range(2):
        clerk.post(f"/messages/{failed}/again", tries="0")
    sent = texts(office)
    assert [(one.status, one.text) for one in sent] == [
        ("cancelled", "hello"),
        ("failed", "again"),
        ("queued", "again"),
    ]
    clerk.post(f"/messages/{sent[2].id}/again", 409, tries="0")
    auditor = office.desk(hire(office.app, "auditor", "auditor"))
    auditor.post(f"/messages/{failed}/again", 403, tries="1")
    assert "Send it again" not in auditor.see(f"/messages/{failed}")


def test_a_text_to_a_list_shows_count_and_cost_and_goes_once(office: Office) -> None:
    gateway(office)
    clerk = office.desk(office.clerk_id)
    point = office.world.points[0]
    wanted = {
        "to": "list",
        "whom": f"name,phone\n{PHONE}\nMr Li,{point.phone}\n{PHONE[3:]}\nnobody",
        "text": "电" * 80,
        "category": "service",
        "token": "00112233445566aa",
    }
    page = clerk.post("/messages/new", 200, **wanted).text
    assert "1 line holds no number" in page
    assert "Send 2 texts · 0.20" in page
    clerk.post("/messages/send", 409, **wanted, count="1", cost="0.20")
    assert texts(office) == []
    for _ in range(2):
        clerk.post("/messages/send", **wanted, count="2", cost="0.20")
    sent = texts(office)
    assert [(one.phone, one.segments, one.account_id) for one in sent] == [
        (PHONE, 2, None),
        (point.phone, 2, point.account_id),
    ]
    assert "2 texts so far" in clerk.see("/messages?batch=00112233445566aa")


def test_a_text_to_very_many_is_announced_and_can_be_followed_and_withdrawn(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway(office)
    monkeypatch.setattr(campaigns, "AT_ONCE", 2)
    clerk = office.desk(office.clerk_id)
    wanted = {"to": "class", "whom": "residential", "text": "停水", "text_en": "No water"}
    wanted |= {"category": "service", "token": "00112233445566bb"}
    page = clerk.post("/messages/new", 200, **wanted).text
    assert "Send 3 texts · 0.15" in page
    assert "So many are announced" in page
    for _ in range(2):
        at = clerk.post("/messages/send", **wanted, count="3", cost="0.15").location
    assert "0 of 3 texts are written" in clerk.see(at)
    with office.app.app_context(), transaction() as session:
        assert service.next_slice(session, 2) == 2
        number = session.scalars(select(FanOut.id)).one()
    assert "2 of 3 texts are written" in clerk.see(at)
    assert f"/messages/{texts(office)[0].id}" in clerk.see(at)
    assert f"/sendings/{number}/withdraw" in clerk.see("/sendings")
    clerk.post(f"/sendings/{number}/resume", 409)
    other = office.desk(hire(office.app, "crew", "dispatcher", office.world.team_id))
    other.post(f"/sendings/{number}/withdraw", 404)
    clerk.post(f"/sendings/{number}/withdraw")
    assert [one.status for one in texts(office)] == ["cancelled", "cancelled"]
    assert "withdrawn" in clerk.see(at)


def test_a_promotion_needs_a_budget_that_bears_it(office: Office) -> None:
    gateway(office)
    clerk = office.desk(office.clerk_id)
    wanted = {"to": "class", "whom": "residential", "text": "Sale", "category": "promotion"}
    assert "may cost at most" in clerk.post("/messages/new", 422, **wanted).text
    assert "Nothing can be sent" in clerk.post("/messages/new", 200, **wanted, budget="0.1").text
    answer = clerk.post("/messages/send", 409, **wanted, budget="0.1", count="9", cost="9")
    assert "more than it may" in answer.text
    assert texts(office) == []
    assert "Send 3 texts" in clerk.post("/messages/new", 200, **wanted, budget="0.15").text


@pytest.mark.parametrize("to", ["account", "route", "team", "staff"])
def test_everybody_who_can_be_meant_is_found(office: Office, to: str) -> None:
    with office.app.app_context(), transaction() as session:
        session.get_one(Staff, office.world.reader_id).phone = PHONE
    whom, count = {
        "account": (" ".join(point.account_no for point in office.world.points), 3),
        "route": (office.world.route_id, 3),
        "team": (office.world.team_id, 1),
        "staff": (office.world.reader_id, 1),
    }[to]
    clerk = office.desk(office.clerk_id)
    assert "None" not in re.sub(r"<[^>]*>", "", clerk.see(f"/messages/new?to={to}"))
    wanted = {"to": to, "text": "hello", "category": "staff", "whom": whom}
    page = clerk.post("/messages/new", 200, **wanted).text
    assert f"Send {count} text" in page
    assert clerk.post("/messages/new", 422, **{**wanted, "whom": "9999"}).text


def test_the_counter_beside_a_text_counts_as_the_gateways_do(admin: Desk) -> None:
    admin.post("/language", language="en", back="/")
    answer = admin.post("/messages/count", 200, text="a" * 161).get_json()
    assert "2 parts · 161 characters, 145 left" in answer["line"]
    assert "too long" in admin.post("/messages/count", 200, text="电" * 700).get_json()["line"]
    wanted = {"event": "bill.issued", "language": "en", "text": "{co} {nothing}"}
    assert admin.post("/messages/count", 200, **wanted).get_json()["problems"]


def test_a_gateway_is_set_up_ruled_priced_and_switched(office: Office, admin: Desk) -> None:
    admin.post("/language", language="en", back="/")
    made = {
        "kind": "smpp",
        "name": "west",
        "host": "smsc.example",
        "port": "2775",
        "system_id": "me",
        "simulated": "yes",
        "enabled": "yes",
    }
    assert "password" in admin.post("/gateways/new", 422, **made).text
    page = admin.post("/gateways/new", **made, password="very secret").location
    admin.post("/gateways/new", 409, **made, password="x")
    admin.post(page, **{**made, "window": "7", "password": ""})
    admin.post(
        f"{page}/terms", categories=["bill"], prefixes="+8613", weight="3", patience_seconds="60"
    )
    assert (
        "is not a beginning"
        in admin.post(f"{page}/terms", 422, prefixes="13", weight="3", patience_seconds="60").text
    )
    admin.post(f"{page}/prices", prefix="+8613", price="0.035")
    admin.post(f"{page}/prices", 422, price="cheap")
    admin.post(f"{page}/switch", enabled="no")
    seen = admin.see(page)
    assert "very secret" not in seen
    assert "0.035" in seen
    with office.app.app_context(), snapshot() as session:
        row = session.scalars(select(Gateway).where(Gateway.name == "west")).one()
    assert (row.enabled, row.config["window"], row.categories, row.weight) == (
        False,
        7,
        ["bill"],
        3,
    )
    assert row.config["password"] not in ("", "very secret")
    clerk = office.desk(office.clerk_id)
    assert "smsc.example" not in clerk.see(page)
    clerk.post(f"{page}/switch", 403, enabled="yes")
    assert "west" in clerk.see("/gateways")


def test_a_wording_is_kept_with_its_versions_and_a_mistake_is_not(
    office: Office, admin: Desk
) -> None:
    admin.post("/language", language="en", back="/")
    url = "/templates/bill.issued"
    body = "{co}: {no} {m} {kwh} {amt} {bal} {due}!"
    admin.post(url, language="en", body=body)
    assert (
        "It names something this notice does not know"
        in admin.post(url, 422, language="en", body=body + "{nothing}").text
    )
    assert body in admin.see(url)
    assert "our own" in admin.see("/templates")
    admin.post(url, language="en", way="default")
    assert "version 2" in admin.see(url)
    admin.post(url, language="en@mail", subject="Your bill {no}", body="Please pay {amt}.")
    assert 'value="Your bill {no}"' in admin.see(url)
    admin.post(url, 422, language="en@mail", subject="", body="Please pay {amt} for {no}.")
    admin.post(url, language="en@mail", way="default")
    assert "Please pay {amt}." not in admin.see(url)
    office.desk(office.clerk_id).post(url, 403, language="en", body=body)
    admin.see("/templates/nothing", 404)


def test_a_refusal_is_noted_with_a_reason_and_taken_back_with_one(office: Office) -> None:
    clerk = office.desk(office.clerk_id)
    point = office.world.points[0]
    clerk.post("/suppressions", 422, phone=point.phone, categories=["promotion"], why="")
    clerk.post("/suppressions", 422, phone="12", categories=["promotion"], why="called")
    clerk.post("/suppressions", phone=point.phone[3:], categories=["promotion"], why="called us")
    page = clerk.see(f"/suppressions?phone={point.phone[3:]}")
    assert "called us" in page
    assert point.phone not in page
    with office.app.app_context(), snapshot() as session:
        refusal = session.scalars(select(PhoneRefusal)).one()
    clerk.post(f"/suppressions/{refusal.id}", 422, why="")
    clerk.post(f"/suppressions/{refusal.id}", why="changed his mind")
    with office.app.app_context(), snapshot() as session:
        assert consent.refusals(session, point.phone) == []
        acts = session.scalars(select(AuditEvent.after).where(AuditEvent.action == "refusal.ended"))
        assert len(list(acts)) == 1


def test_what_nobody_understood_is_answered_or_put_aside(office: Office) -> None:
    point, way = office.world.points[0], gateway(office)
    with office.app.app_context(), transaction() as session:
        rows = [
            InboundMessage(
                gateway_id=way,
                phone=point.phone,
                destination="95598",
                text=text,
                total=1,
                arrived=1,
                state=state,
                received_at=clock.now(),
            )
            for text, state in (("when?", "unmatched"), ("thanks", "unmatched"), ("YE", "handled"))
        ]
        session.add_all(rows)
        session.flush()
        first, second, third = (row.id for row in rows)
    clerk = office.desk(office.clerk_id)
    page = clerk.see("/inbound")
    assert "when?" in page
    assert f"/inbound/{third}" not in page
    assert point.account_no in clerk.see(f"/inbound/{first}")
    clerk.post(f"/inbound/{first}", way="answer", text="Tomorrow at eight.")
    clerk.post(f"/inbound/{second}", way="done")
    clerk.post(f"/inbound/{second}", 409, way="done")
    clerk.post(f"/inbound/{third}", 409, way="answer", text="x")
    assert [(one.phone, one.text, one.category) for one in texts(office)] == [
        (point.phone, "Tomorrow at eight.", "reply")
    ]
    assert "Nothing waits" in clerk.see("/inbound")
    assert "Tomorrow at eight." in clerk.see(f"/inbound/{first}")


def test_a_category_is_ruled_and_holidays_named_by_those_who_may(
    office: Office, admin: Desk
) -> None:
    admin.post("/language", language="en", back="/")
    rule = {"quiet_from": "22:00", "quiet_to": "07:30", "spread_minutes": "45", "cap_hours": "24"}
    limits = {"cap_count": "3", "budget_day": "10.50", "quiet_holidays": "yes"}
    admin.post("/message-rules/bill", **rule, **limits)
    day = clock.now().date() + timedelta(days=40)
    admin.post("/message-holidays", day=str(day), name="Spring festival")
    page = admin.see("/message-rules")
    for mark in ("22:00–07:30", "over 45 min", "3 in 24 h", "10.50", "Spring festival"):
        assert mark in page, mark
    with office.app.app_context(), snapshot() as session:
        found = consent.load_rules(session)
        acts = session.scalars(select(AuditEvent.action).where(AuditEvent.actor_kind == "staff"))
        assert {"notify.policy", "notify.holidays"} <= set(acts)
    assert found.policy("bill").budget_day == Decimal("10.5")
    assert found.holidays == {day}
    page = admin.post("/message-rules/bill", 422, **{**rule, "quiet_to": "", "cap_count": "-1"})
    assert "Quiet hours need a beginning and an end" in page.text
    assert "The limit for a phone is" in page.text
    admin.post("/message-rules/bill", 422, **{**rule, "budget_day": "NaN"})
    admin.post("/message-rules/safety", 422, **rule)
    admin.post("/message-rules/nothing", 404, **rule)
    admin.post("/message-holidays", 422, day=str(day), name=" ")
    admin.post("/message-holidays", 422, day="soon", name="x")
    admin.post("/message-holidays", drop=str(day))
    assert "Spring festival</td>" not in admin.see("/message-rules")
    clerk = office.desk(office.clerk_id)
    assert "22:00" in clerk.see("/message-rules/bill")
    clerk.post("/message-rules/bill", 403, **rule)
    clerk.post("/message-holidays", 403, day=str(day), name="x")


def test_statistics_are_summed_as_asked_and_for_those_who_see_everybody(
    office: Office, admin: Desk
) -> None:
    way = gateway(office)
    with office.app.app_context(), transaction() as session:
        for day, carrier in ((1, "A"), (2, "A"), (2, "B")):
            session.add(
                MessageDay(
                    day=date(2026, 11, day),
                    gateway_id=way,
                    event="bill.issued",
                    category="bill",
                    carrier=carrier,
                    messages=10,
                    segments=1000,
                    accepted=900,
                    delivered=800,
                    failed=100,
                    cost=Decimal(45),
                )
            )
    for by, mark in (
        ("day", "2,000"),
        ("carrier", "2,000"),
        ("gateway", "east"),
        ("event", "3,000"),
    ):
        page = admin.see(f"/message-statistics?by={by}&from=2026-11-01&to=2026-11-30")
        assert mark in page, by
        assert "135.00" in page, by
    csv = admin.see("/message-statistics.csv?by=carrier&from=2026-11-01&to=2026-11-30")
    assert "A,20,2000,1800,1600,200,90" in csv
    office.desk(office.manager_id).see("/message-statistics", 403)
